import type { ChildConf } from '../cni/child-link.ts';
import { readConf, type Schema } from '../cni/config.ts';
import { messageOf } from '../cni/errors.ts';
import type { Examined, Finding } from '../cni/findings.ts';
import type { JsonObject } from '../cni/json.ts';
import type { Scope } from '../cni/scope.ts';
import { findParent, mtuFault, parentFault } from '../link/parent.ts';
import { flatMapInTurn } from '../sys/in-turn.ts';
import { confsOfType } from './confs.ts';
import { hasModule } from './kernel.ts';
import { examineLinkPath } from './link-path.ts';

/** `braid doctor` for a plugin whose links are on a parent: the kernel, and the parents of all its networks. */
export async function examineParents<C extends ChildConf>(
  scope: Scope,
  { confs }: Examined,
  { kind, schema }: { readonly kind: string; readonly schema: Schema<C> },
): Promise<readonly Finding[]> {
  const own = confsOfType(confs, kind, undefined, (conf) => JSON.stringify([conf['master'], conf['mtu']]));
  if (own.length === 0) {
    return [];
  }
  const kernel: readonly Finding[] =
    hasModule(scope.node.sysfs, kind) === false
      ? [{ level: 'fault', text: `the kernel has no ${kind}`, fix: 'install the package with its further modules' }]
      : [];
  return [...kernel, ...(await flatMapInTurn(own, (conf) => examineParent(scope, conf, schema)))];
}

async function examineParent<C extends ChildConf>(
  scope: Scope,
  document: JsonObject,
  schema: Schema<C>,
): Promise<readonly Finding[]> {
  const network = `network "${String(document['name'])}"`;
  try {
    const conf = readConf(schema, document);
    if (conf.linkInContainer) {
      return [];
    }
    const parent = await findParent(scope.node.host.netlink, conf.master);
    const why = parentFault(parent);
    return [
      ...(why === undefined
        ? []
        : [
            {
              level: 'fault' as const,
              text: `${network} cannot have parent "${parent.name}": it ${why}`,
              fix: 'name as "master" what it is enslaved to',
            },
          ]),
      ...(mtuFault(conf.mtu, parent) === undefined
        ? []
        : [
            {
              level: 'fault' as const,
              text: `${network} asks for MTU ${conf.mtu}, but its parent "${parent.name}" has ${parent.mtu}`,
              fix: 'leave "mtu" out, or raise that of the parent',
            },
          ]),
      ...(await examineLinkPath(scope.node.host.netlink, parent.name)),
    ];
  } catch (error) {
    return [{ level: 'fault', text: `${network}: ${messageOf(error)}`, fix: 'correct the configuration' }];
  }
}
