"""A run's page: the modules that join services, session state and components."""
