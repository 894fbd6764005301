import { confsOfType } from '../../lib/cli/confs.ts';
import { examineParents } from '../../lib/cli/parents.ts';
import { readConf } from '../../lib/cni/config.ts';
import type { Examined, Finding } from '../../lib/cni/findings.ts';
import type { JsonObject } from '../../lib/cni/json.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { findParent } from '../../lib/link/parent.ts';
import { flatMapInTurn } from '../../lib/sys/in-turn.ts';
import { IpvlanConf } from './config.ts';
import { IPVLAN } from './kind.ts';

/** The kernel, parents, and modes: one parent has one. */
export async function examine(scope: Scope, node: Examined): Promise<readonly Finding[]> {
  const { name } = IPVLAN;
  const own = confsOfType(node.confs, name, undefined, (conf) => JSON.stringify([conf['master'], conf['mode']]));
  const found = await flatMapInTurn(own, (document) => networkOn(scope, document));
  const networks = [...new Map(found.map((one) => [`${one.parent} ${one.mode}`, one])).values()];
  return [
    ...(await examineParents(scope, node, { kind: name, schema: IpvlanConf })),
    ...networks.flatMap((one, index) => {
      const other = networks.slice(0, index).find(({ parent, mode }) => parent === one.parent && mode !== one.mode);
      return other === undefined ? [] : [modesFinding(other, one)];
    }),
  ];
}

interface Network {
  readonly name: string;
  readonly parent: string;
  readonly mode: string;
}

/** Faults are reported with those of the parents. */
async function networkOn(scope: Scope, document: JsonObject): Promise<readonly Network[]> {
  try {
    const { master, mode, linkInContainer } = readConf(IpvlanConf, document);
    const parent = linkInContainer ? undefined : await findParent(scope.node.host.netlink, master);
    return parent === undefined ? [] : [{ name: String(document['name']), parent: parent.name, mode }];
  } catch {
    return [];
  }
}

const modesFinding = (one: Network, other: Network): Finding => ({
  level: 'fault',
  text: `networks "${one.name}" (mode ${one.mode}) and "${other.name}" (mode ${other.mode}) share parent "${one.parent}": each ADD of one changes the mode of the other's pods`,
  fix: 'give both the same "mode", or put one on a VLAN of the parent',
});
