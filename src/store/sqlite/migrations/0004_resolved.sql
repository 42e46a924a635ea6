-- What a person says of a lost run, which keeps its outcome: succeeded or failed.
ALTER TABLE runs ADD COLUMN resolved TEXT;
