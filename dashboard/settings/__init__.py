"""The settings page: the modules that join services, session state and components."""
