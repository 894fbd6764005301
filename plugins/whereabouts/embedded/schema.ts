/** "brid": names the file for the program `file` and for us. */
export const APPLICATION_ID = 0x62726964;

/** Version of the schema. */
export const FORMAT = 1;

/**
 * The database of a `data_dir`. SQLite keeps the text as it stands here, so `.schema` of the program `sqlite3` shows it to
 * people. A key is an address that sorts as text: its family, a colon, and 8 or 32 hexadecimal digits. A checksum is the
 * CRC-32C of the columns before it, in their order, each followed by a zero byte.
 *
 * What is free is written down too: an address is given only when both tables agree that nobody has it, so damage to one
 * of them never gives an address twice.
 */
export const SCHEMA = `
CREATE TABLE store (        -- one row
  id TEXT NOT NULL,         -- the same as in the file "sequence" beside this one
  sequence INTEGER NOT NULL, -- number of the last transaction that changed something
  base INTEGER NOT NULL,    -- number of a transaction that this file has without its log
  checksum INTEGER NOT NULL
) STRICT;
CREATE TABLE reservation (
  network TEXT NOT NULL,    -- "network_name" of the configuration, or ''
  range TEXT NOT NULL,      -- names the pool: 10.5.0.0/24
  key TEXT NOT NULL,        -- the address, so that it sorts: 4:0a050001
  address TEXT NOT NULL,    -- 10.5.0.1
  container TEXT NOT NULL,
  interface TEXT NOT NULL,
  pod TEXT NOT NULL,        -- namespace/name, or ''
  conf TEXT NOT NULL,       -- "name" of the configuration
  checksum INTEGER NOT NULL,
  PRIMARY KEY (network, key, range)
) STRICT, WITHOUT ROWID;
CREATE INDEX by_container ON reservation (network, container, interface);
CREATE INDEX by_pod ON reservation (network, pod, interface) WHERE pod <> '';
CREATE TABLE free (         -- runs of addresses that nobody holds
  network TEXT NOT NULL,
  range TEXT NOT NULL,      -- held by nobody in this range; '': in no range of the network
  first TEXT NOT NULL,      -- keys, both included; no row at all: nothing is held yet
  last TEXT NOT NULL,
  checksum INTEGER NOT NULL,
  PRIMARY KEY (network, range, first)
) STRICT, WITHOUT ROWID;
PRAGMA application_id = ${APPLICATION_ID};
PRAGMA user_version = ${FORMAT};
`;
