"""A seeded evolution over operators and their parameters, scored on a text that is never the one reported.

    settings -> genome -> evolution -> engines -> population

The same settings give the same population, byte for byte, on any engine, and after any number of interruptions.
"""
