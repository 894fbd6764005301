import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { KubeObject } from '../../../lib/kube/api.ts';
import { type FakeServer, refuse, reply, serve } from '../../../lib/kube/testing/server.ts';
import type { FakeKube } from './fake-kube.ts';

/** What is refused: `list nodeslicepools`, with its status. */
export type Refusals = Readonly<Record<string, number>>;

/** What a fake cluster has, behind HTTP: it is read there, and its rights are asked for. */
export const serveKube = (kube: FakeKube, refusals: Refusals = {}): Promise<FakeServer> =>
  serve(({ method, url, body }, answer) => {
    const plural = (url.split('?')[0] ?? '').split('/').at(-1) ?? '';
    const status = refusals[`list ${plural}`] ?? refusals['everything'];
    if (status !== undefined && method === 'GET') {
      refuse(answer, status, 'Refused', `${plural} is refused`);
    } else if (plural === 'selfsubjectaccessreviews') {
      const { spec } = JSON.parse(body) as { spec: { resourceAttributes: { verb: string; resource: string } } };
      const { verb, resource } = spec.resourceAttributes;
      reply(answer, 201, {
        kind: 'SelfSubjectAccessReview',
        spec,
        status: { allowed: refusals[`${verb} ${resource}`] !== 403 },
      });
    } else {
      reply(answer, 200, { kind: 'List', metadata: {}, items: kube.all<KubeObject>(plural) });
    }
  });

/** @returns its path */
export function kubeconfigTo(url: string, folder: string, token = 'secret'): string {
  const path = join(folder, 'kubeconfig');
  const config = {
    'current-context': 'c',
    contexts: [{ name: 'c', context: { cluster: 'c', user: 'u', namespace: 'kube-system' } }],
    clusters: [{ name: 'c', cluster: { server: url } }],
    users: [{ name: 'u', user: { token } }],
  };
  writeFileSync(path, JSON.stringify(config));
  return path;
}
