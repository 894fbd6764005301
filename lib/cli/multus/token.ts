import type { Access } from '../../kube/access.ts';
import type { KubeObject } from '../../kube/api.ts';
import { openClient } from '../../kube/client.ts';

/** Says whose token plugins of the node get. @throws ApiError when there is none, and none of before is good any more */
export type TokenFor = (access: Access) => Promise<string | undefined>;

const SERVICE_ACCOUNTS = { group: '', version: 'v1', plural: 'serviceaccounts' } as const;
const NAMESPACE = 'kube-system';

/** A node must get over a day on which nobody renews it. */
const LIFE_SECONDS = 86_400;

interface TokenRequest extends KubeObject {
  readonly spec: { readonly expirationSeconds: number };
  readonly status?: { readonly token: string; readonly expirationTimestamp: string };
}

interface Known {
  readonly token: string;
  /** that of the pod, with which it was asked for */
  readonly pods: string;
  readonly renewMs: number;
  readonly endMs: number;
}

/**
 * Tokens for the plugins of a node. That of the installer's own pod is void as soon as the pod is gone; one of another
 * account is bound to no pod, outlives it, and its owner can get no other. It is renewed at half of its life, and when the
 * pod has got a new one itself.
 *
 * @param account undefined: plugins get the token of the pod
 * @param nowMs of the wall clock
 */
export function tokensOf(account: string | undefined, nowMs: () => number = Date.now): TokenFor {
  let known: Known | undefined;
  return async (access) => {
    const { token: pods } = access;
    if (account === undefined || pods === undefined) {
      return pods;
    }
    if (known?.pods === pods && nowMs() < known.renewMs) {
      return known.token;
    }
    try {
      known = await request(access, account, pods, nowMs());
    } catch (error) {
      if (known === undefined || nowMs() >= known.endMs) {
        throw error;
      }
    }
    return known.token;
  };
}

async function request(access: Access, account: string, pods: string, nowMs: number): Promise<Known> {
  const namespace = access.namespace ?? NAMESPACE;
  using client = await openClient(async () => access, { namespace });
  const path = { resource: SERVICE_ACCOUNTS, namespace, name: account, subresource: 'token' };
  const asked: TokenRequest = {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    metadata: { name: account },
    spec: { expirationSeconds: LIFE_SECONDS },
  };
  const { status } = await client.api().create(path, asked);
  if (status === undefined) {
    throw new Error(`cannot get a token of service account "${namespace}/${account}": the answer has none`);
  }
  const endMs = Date.parse(status.expirationTimestamp);
  return { token: status.token, pods, renewMs: nowMs + (endMs - nowMs) / 2, endMs };
}
