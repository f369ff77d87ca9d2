from hypothesis import HealthCheck, settings

# a loaded machine is no failure of the code
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
