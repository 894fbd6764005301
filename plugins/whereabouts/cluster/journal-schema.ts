/** "brij": names the file for the program `file` and for us. */
export const APPLICATION_ID = 0x6272696a;

/** Version of the schema. */
export const FORMAT = 1;

/** What a node remembers of its reservations in clusters. SQLite keeps the text as it stands here, for people to read. */
export const SCHEMA = `
CREATE TABLE held (
  cluster TEXT NOT NULL,    -- path of the kubeconfig
  network TEXT NOT NULL,    -- "network_name" of the configuration, or ''
  container TEXT NOT NULL,
  interface TEXT NOT NULL,
  range TEXT NOT NULL,      -- names the pool: 10.5.0.0/24, or a node's slice: 10.5.0.0/26@w-7
  key TEXT NOT NULL,        -- of the address in the pool
  stored_range TEXT NOT NULL, -- "spec.range" of the pool
  pod TEXT NOT NULL,        -- namespace/name
  conf TEXT NOT NULL,       -- "name" of the configuration
  reservation TEXT NOT NULL, -- of the address across ranges, as JSON; '': none
  sure INTEGER NOT NULL,    -- 0: the API server was asked, and its answer is not known
  PRIMARY KEY (cluster, network, container, interface, range, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE deleted (
  cluster TEXT NOT NULL,
  network TEXT NOT NULL,
  container TEXT NOT NULL,
  interface TEXT NOT NULL,
  ranges TEXT NOT NULL,     -- where it may hold something else, as JSON; '': anywhere
  at INTEGER NOT NULL,      -- when it was deleted, and when its addresses are to be given back: ms since 1970
  due INTEGER NOT NULL,
  busy INTEGER NOT NULL,    -- until then somebody is about it: ms since 1970
  tries INTEGER NOT NULL,
  done INTEGER NOT NULL,    -- 1: they have been given back
  PRIMARY KEY (cluster, network, container, interface)
) STRICT, WITHOUT ROWID;
CREATE INDEX waiting ON deleted (cluster, due) WHERE done = 0;
PRAGMA application_id = ${APPLICATION_ID};
PRAGMA user_version = ${FORMAT};
`;
