import { join } from 'node:path';
import type { Access } from '../../kube/access.ts';

/** Whose kubeconfig: the names in it are those that the Go installers give. */
export interface KubeconfigOwner {
  readonly user: 'multus' | 'whereabouts';
  /** namespace of its objects */
  readonly namespace?: string | undefined;
}

/**
 * A kubeconfig for plugins of this node. It has no token: it names the file that has, so that a new token is there for
 * the next call, and readers never see a part of one.
 *
 * @param tokenFile where the node sees it
 */
export function kubeconfigText(access: Access, tokenFile: string, { user, namespace }: KubeconfigOwner): string {
  const { ca, isUnverified } = access.tls;
  const trust = isUnverified
    ? ['insecure-skip-tls-verify: true']
    : ca === undefined
      ? []
      : [`certificate-authority-data: ${Buffer.from(ca).toString('base64')}`];
  const lines = [
    '# Written by "braid install", which keeps it and the token right.',
    'apiVersion: v1',
    'kind: Config',
    'clusters:',
    '- name: local',
    '  cluster:',
    `    server: ${quoted(access.server)}`,
    ...trust.map((line) => `    ${line}`),
    'users:',
    `- name: ${user}`,
    '  user:',
    `    tokenFile: ${quoted(tokenFile)}`,
    'contexts:',
    `- name: ${user}-context`,
    '  context:',
    '    cluster: local',
    `    user: ${user}`,
    ...(namespace === undefined ? [] : [`    namespace: ${quoted(namespace)}`]),
    `current-context: ${user}-context`,
  ];
  return `${lines.join('\n')}\n`;
}

/** JSON's texts are YAML's too. */
const quoted = (text: string): string => JSON.stringify(text);

/** The file in which whereabouts looks for what a network's configuration does not say. */
export const whereaboutsFlatFile = (folder: string): string =>
  `${JSON.stringify(
    {
      datastore: 'kubernetes',
      configuration_path: folder,
      kubernetes: { kubeconfig: join(folder, 'whereabouts.kubeconfig') },
    },
    null,
    2,
  )}\n`;
