"""What every provider must hold to, whatever its vendor's wire looks like.

A provider is done when it passes here. To add one, write its `Dialect` (`dialects/`): the vendor's bodies,
with their source, and where a request's parts stand on its wire. The tests know no vendor.
"""
