/** The schema of the embedded store, as the steps that made it. A step that was released is never changed. */
import type { DatabaseSync } from 'node:sqlite';
import { StoreError } from './store.ts';

/** Marks the file as ours (PRAGMA application_id): "HopG". */
const APPLICATION_ID = 0x486f7047;

/** The i-th step leads from version i to i + 1. */
export const MIGRATIONS: readonly string[] = [
  // Without rowid, the rows stand in key order: a prefix is one stretch of the file.
  `CREATE TABLE records (
     key TEXT NOT NULL PRIMARY KEY,
     value TEXT NOT NULL,
     revision INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE ledger (
     seq INTEGER NOT NULL PRIMARY KEY,
     hash TEXT NOT NULL,
     line TEXT NOT NULL
   ) STRICT;
   CREATE TABLE head (
     one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
     revision INTEGER NOT NULL
   ) STRICT;
   INSERT INTO head (one, revision) VALUES (1, 0);`,
];

export const SCHEMA_VERSION: number = MIGRATIONS.length;

const pragma = (db: DatabaseSync, name: string): number =>
  Number(Object.values(db.prepare(`PRAGMA ${name}`).get() ?? {})[0]);

/** Brings a database to our schema, all or nothing. Throws {@link StoreError} for a foreign or a newer one. */
export const migrate = (db: DatabaseSync, file: string): void => {
  const version = pragma(db, 'user_version');
  const application = pragma(db, 'application_id');
  const isNew = version === 0 && application === 0 && pragma(db, 'schema_version') === 0;
  if (!isNew && application !== APPLICATION_ID)
    throw new StoreError(`${file}: is not a verifier's store; name another directory`);
  if (version > SCHEMA_VERSION)
    throw new StoreError(
      `${file}: has schema ${version}, this hopgate knows ${SCHEMA_VERSION}; start the newer hopgate that wrote it, or restore a backup from before`,
    );
  if (version === SCHEMA_VERSION) return;
  db.exec('BEGIN EXCLUSIVE');
  for (const step of MIGRATIONS.slice(version)) db.exec(step);
  db.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${SCHEMA_VERSION}; COMMIT`);
};
