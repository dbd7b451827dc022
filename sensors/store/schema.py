"""The tables of the journal."""

SCHEMA = """
create table if not exists series (id integer not null, key varchar not null);
create table if not exists reading (
    seq bigint not null, series integer not null, time_us bigint not null, value double,
    received_us bigint not null, flag utinyint not null, checks uinteger not null, revision boolean not null
);
create table if not exists journal (id varchar not null);
insert into journal select uuid()::varchar where not exists (from journal);
create table if not exists newest_known (
    series integer not null, time_us bigint not null, value double not null, flag utinyint not null,
    through_seq bigint not null
);
create table if not exists revision_of_flag (
    number bigint not null, series integer not null, time_us bigint not null, flag utinyint not null,
    checks uinteger not null, flag_before utinyint not null, checks_before uinteger not null,
    revised_by varchar not null, at_us bigint not null
);
alter table revision_of_flag add column if not exists reason varchar default '';
create view if not exists flag_now as
    select series, time_us, arg_max(flag, number) as flag, arg_max(checks, number) as checks
    from revision_of_flag group by series, time_us;
create table if not exists trimmed (
    day bigint not null, through_seq bigint not null, file_seq bigint not null, mark varchar not null
);
create table if not exists forgotten (day bigint not null);
"""
