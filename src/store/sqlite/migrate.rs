//! Forward-only numbered migrations: each is one SQL file, applied with its number in one transaction.
//!
//! Invariant: a migration that was released is never edited; a change is the next number.

use rusqlite::{Connection, TransactionBehavior};

use super::failure::Failure;
use crate::store::StoreError;

/// Marks the file as ours in its header (`NCAL`).
pub(super) const APPLICATION_ID: i32 = 0x4E43_414C;

const MIGRATIONS: [&str; 1] = [include_str!("migrations/0001_init.sql")];

/// The version that this program writes and reads.
pub(super) const KNOWN: u32 = MIGRATIONS.len() as u32;

/// The version of a database; an error when it is not ours or newer than [`KNOWN`].
pub(super) fn version(conn: &Connection) -> Result<u32, Failure> {
    let application: i32 = conn.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let found: u32 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if application != APPLICATION_ID || found == 0 {
        return Err(StoreError::Corrupt(format!(
            "it is a database of another program (application id {application:#x}, version \
             {found}); name another file"
        ))
        .into());
    }
    if found > KNOWN {
        return Err(StoreError::TooNew {
            found,
            known: KNOWN,
        }
        .into());
    }
    Ok(found)
}

/// Makes a new, empty database ours, at the newest version.
pub(super) fn initialise(conn: &mut Connection) -> Result<(), Failure> {
    conn.pragma_update(None, "application_id", APPLICATION_ID)?;
    apply(conn, &MIGRATIONS, 0)
}

/// Brings a database of an older version to the newest.
pub(super) fn upgrade(conn: &mut Connection) -> Result<(), Failure> {
    let found = version(conn)?;
    apply(conn, &MIGRATIONS, found)
}

/// Applies the migrations after number `found`.
fn apply(conn: &mut Connection, migrations: &[&str], found: u32) -> Result<(), Failure> {
    for (number, sql) in (1u32..).zip(migrations).skip(found as usize) {
        let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn user_version(conn: &Connection) -> u32 {
        conn.pragma_query_value(None, "user_version", |row| row.get(0))
            .unwrap()
    }

    #[test]
    fn each_migration_is_applied_once_and_in_order() {
        let mut conn = Connection::open_in_memory().unwrap();
        let first = ["CREATE TABLE a (x); INSERT INTO a VALUES (1)"];
        apply(&mut conn, &first, 0).unwrap();
        assert_eq!(user_version(&conn), 1);
        let both = [first[0], "UPDATE a SET x = x + 1"];
        apply(&mut conn, &both, 1).unwrap();
        apply(&mut conn, &both, 2).unwrap();
        let x: i64 = conn
            .query_row("SELECT x FROM a", [], |row| row.get(0))
            .unwrap();
        assert_eq!((user_version(&conn), x), (2, 2));
    }

    #[test]
    fn a_migration_that_fails_leaves_the_version_before_it() {
        let mut conn = Connection::open_in_memory().unwrap();
        let list = [
            "CREATE TABLE a (x)",
            "CREATE TABLE b (x); CREATE TABLE a (x)",
        ];
        assert!(apply(&mut conn, &list, 0).is_err());
        assert_eq!(user_version(&conn), 1);
        assert!(conn.prepare("SELECT * FROM b").is_err());
    }

    #[test]
    fn a_new_database_is_ours_and_has_the_newest_version() {
        let mut conn = Connection::open_in_memory().unwrap();
        assert!(version(&conn).is_err());
        initialise(&mut conn).unwrap();
        assert_eq!(version(&conn).unwrap(), KNOWN);
    }
}
