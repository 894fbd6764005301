import { messageOf } from '../cni/errors.ts';
import { type Access, isSameAccess, type ReadAccess } from './access.ts';
import { ApiError } from './api.ts';
import { type Connection, openConnection } from './connection.ts';
import { type Connector, connector as network } from './wires.ts';

/** Connections with one set of credentials. */
export interface Session {
  readonly access: Access;
  readonly connection: Connection;
}

export interface Sessions extends Disposable {
  readonly current: Session;
  /** One with newer credentials than this has; undefined when there are none. Who asks at the same time gets the same. */
  newerThan(session: Session): Promise<Session | undefined>;
}

/**
 * Reads credentials, and reads them again when they are no longer accepted.
 *
 * @param connections at once
 * @throws CniError when they cannot be read; ApiError when OpenSSL cannot use them
 */
export async function openSessions(
  readAccess: ReadAccess,
  connections: number,
  connector: Connector = network,
): Promise<Sessions> {
  const opened: Session[] = [];
  const open = async (access: Access): Promise<Session> => {
    const session = { access, connection: await connect(access, connector, connections) };
    opened.push(session);
    return session;
  };
  let current = await open(await readAccess());
  let renewal: Promise<Session | undefined> | undefined;
  const renew = async (): Promise<Session | undefined> => {
    try {
      const access = await readAccess();
      if (isSameAccess(access, current.access)) {
        return undefined;
      }
      current = await open(access); // requests under way keep the old connections, which end when they are idle
      return current;
    } catch {
      return undefined; // half a file: what the server has said is the better reason
    } finally {
      renewal = undefined;
    }
  };
  return {
    get current() {
      return current;
    },
    newerThan: async (session) => {
      if (session !== current) {
        return current;
      }
      renewal ??= renew();
      return renewal;
    },
    [Symbol.dispose]: () => {
      for (const { connection } of opened) {
        connection[Symbol.dispose]();
      }
    },
  };
}

async function connect(access: Access, connector: Connector, connections: number): Promise<Connection> {
  try {
    return await openConnection(access, connector, connections);
  } catch (error) {
    throw new ApiError(`cannot use the certificates of the ${access.origin}: ${messageOf(error)}`, { cause: error });
  }
}
