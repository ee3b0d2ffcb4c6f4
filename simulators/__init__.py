"""Customers with known truth: worlds, rollouts, a driver, Gymnasium environments.

Importing the package registers one environment for each world, such as `nextbest/Retention-v0`.
"""

from simulators.registration import register_environments

register_environments()
