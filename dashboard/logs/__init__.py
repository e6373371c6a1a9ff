"""The logs page: the modules that join services, session state and components."""
