/** What it means when no answer comes, in a sentence for those who look after the node. */
import { messageOf } from '../cni/errors.ts';
import type { Access } from './access.ts';
import { ConnectionLost, DeadlineExceeded, LONGEST_WAIT_MS, NoneFree } from './connection.ts';
import { NotHttp } from './http.ts';

interface Facts extends Pick<Access, 'server' | 'origin'> {
  readonly timeoutMs: number;
}

/** What the errors of Node, OpenSSL and the HTTP parser carry. */
interface Coded {
  readonly code?: string;
  readonly message?: string;
  /** that has no address */
  readonly hostname?: string;
  /** that the certificate is not for */
  readonly host?: string;
  readonly cert?: { readonly subjectaltname?: string };
}

type Sentence = (facts: Facts, error: Coded) => string;

const untrusted: Sentence = ({ server, origin }) =>
  `the certificate of "${server}" is not signed by a CA that the ${origin} trusts: is its CA that of another cluster, or an old one`;

const SENTENCES: Readonly<Record<string, Sentence>> = {
  ECONNREFUSED: ({ server }) => `nothing listens at "${server}": ECONNREFUSED (connection refused)`,
  ENOTFOUND: ({ server }, { hostname }) => `the name "${hostname ?? server}" is not known: ENOTFOUND`,
  EAI_AGAIN: ({ server }, { hostname }) => `no name server answers for "${hostname ?? server}": EAI_AGAIN`,
  EHOSTUNREACH: ({ server }) => `"${server}" cannot be reached: EHOSTUNREACH (no route to host)`,
  ENETUNREACH: ({ server }) => `"${server}" cannot be reached: ENETUNREACH (network is unreachable)`,
  ETIMEDOUT: ({ server }) => `"${server}" cannot be reached: ETIMEDOUT (connection timed out)`,
  ECONNRESET: ({ server }) => `"${server}" has reset the connection before its answer was complete: ECONNRESET`,
  EPIPE: ({ server }) => `"${server}" has reset the connection before its answer was complete: EPIPE`,
  CERT_HAS_EXPIRED: ({ server }) => `the certificate of "${server}" has expired, or the clock of this node is wrong`,
  CERT_NOT_YET_VALID: ({ server }) =>
    `the certificate of "${server}" is not valid yet: is the clock of this node right`,
  ERR_TLS_CERT_ALTNAME_INVALID: ({ server }, { host, cert }) =>
    `the certificate of "${server}" is not for "${host ?? ''}", but for ${cert?.subjectaltname ?? 'no name'}`,
  SELF_SIGNED_CERT_IN_CHAIN: untrusted,
  DEPTH_ZERO_SELF_SIGNED_CERT: untrusted,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: untrusted,
  UNABLE_TO_GET_ISSUER_CERT: untrusted,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: untrusted,
  CERT_SIGNATURE_FAILURE: untrusted,
  CERT_UNTRUSTED: untrusted,
  INVALID_CA: untrusted,
};

/** Why there was no answer. */
export function sentenceOf(cause: unknown, facts: Facts): string {
  if (cause instanceof DeadlineExceeded) {
    return `"${facts.server}" has not answered within ${facts.timeoutMs / 1000} s`;
  }
  if (cause instanceof NoneFree) {
    return `"${facts.server}" has too much to do: no connection was free for ${LONGEST_WAIT_MS / 1000} s`;
  }
  if (cause instanceof ConnectionLost) {
    return `"${facts.server}" has closed the connection before its answer was complete`;
  }
  if (cause instanceof NotHttp) {
    return `"${facts.server}" does not speak HTTP: is it an API server`;
  }
  const coded = cause as Coded;
  const code = coded.code ?? '';
  const known = SENTENCES[code];
  if (known !== undefined) {
    return known(facts, coded);
  }
  return openSslSentence(facts, messageOf(cause)) ?? `"${facts.server}" cannot be asked: ${messageOf(cause)}`;
}

/** The code of an error of OpenSSL is EPROTO or its own, according to what was being done. */
function openSslSentence({ server, origin }: Facts, message: string): string | undefined {
  if (/wrong version number|packet length too long|record layer failure/i.test(message)) {
    return `"${server}" does not speak TLS: should its URL begin with http://`;
  }
  const alert = /SSL routines:[^:]*:((?:tls|ssl)v\S+ alert [a-z ]+)/i.exec(message)?.[1];
  return alert === undefined
    ? undefined
    : `"${server}" refuses the connection (${alert}): does it accept the client certificate of the ${origin}`;
}
