/** How an API server is reached, and as whom. */

/** Certificates and keys are texts in PEM. */
export interface TlsAccess {
  /** whom to trust; undefined: whom the system trusts */
  readonly ca: string | undefined;
  readonly certificate: string | undefined;
  readonly key: string | undefined;
  /** the name that the server's certificate must have; undefined: the one in its URL */
  readonly serverName: string | undefined;
  /** anybody may be the server */
  readonly isUnverified: boolean;
}

export interface Access {
  /** `https://192.0.2.1:6443`, also with a path */
  readonly server: string;
  /** of the context */
  readonly namespace: string | undefined;
  readonly tls: TlsAccess;
  readonly token: string | undefined;
  /** for messages: `kubeconfig "/etc/…"` */
  readonly origin: string;
}

/**
 * Reads what may have changed since: tokens expire, and installers write files anew.
 *
 * @throws CniError
 */
export type ReadAccess = () => Promise<Access>;

/** Same server, same credentials? */
export const isSameAccess = (one: Access, other: Access): boolean => JSON.stringify(one) === JSON.stringify(other);
