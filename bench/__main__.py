"""`make bench`: every table, one after the other."""

from bench import backlog, broker, history, ledger, line, saturate, scale, sensors_and_rules

for table in (sensors_and_rules, history, ledger, saturate, line, broker, backlog, scale):
    table.main()
