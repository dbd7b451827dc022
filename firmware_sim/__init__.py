"""A dishonest world with a seed: physical truth, instruments that blur it, devices that report it over real MQTT.

    site            where a station stands and what it measures
    rainfall        a convective cell moving over the stations
    hydrology       rain to runoff, runoff to discharge, discharge to stage
    weather         sun, air temperature, fine dust, batteries
    truth           what is really the case, as columns over time
    recording (S)   the same from a file of recorded values
    noise           errors that depend on (seed, instrument, sample) alone
    instruments     what an instrument makes of the truth
    device          sampling, clock, numbering, payloads: a pure state machine
    backlog         messages kept until they are acknowledged
    mqtt_link (S)   one device's MQTT session
    serial          instruments at the end of a serial line, from their makers' data sheets
    run (S)         all devices on the caller's clock

It imports nothing of the platform: payloads are written from docs/wire.md alone.
"""
