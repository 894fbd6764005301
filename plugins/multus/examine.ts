import { existsSync } from 'node:fs';
import { confsOfType, pluginConfsIn } from '../../lib/cli/confs.ts';
import type { Examined, Finding } from '../../lib/cni/findings.ts';
import { type JsonObject, textIn } from '../../lib/cni/json.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { binDirOf } from './places.ts';

/** The plugins that delegates need, and what every ADD waits for. */
export async function examine(_: Scope, { confs }: Examined): Promise<readonly Finding[]> {
  return confsOfType(confs, 'multus', undefined, (conf) => JSON.stringify(conf)).flatMap((conf) => [
    ...examineDelegates(conf),
    ...examineIndicator(conf),
    ...examineKubeconfig(conf),
  ]);
}

/** Those in binDir are found first; the runtime's folder is examined by itself. */
function examineDelegates(conf: JsonObject): readonly Finding[] {
  const bin = binDirOf({ binDir: textIn(conf, 'binDir') });
  return existsSync(bin)
    ? []
    : [
        {
          level: 'warning',
          text: `"binDir" of multus is "${bin}", which is not there: ${pluginConfsIn(conf).length - 1} delegates are searched elsewhere`,
          fix: `run "braid install --bin ${bin}", or correct "binDir"`,
        },
      ];
}

function examineIndicator(conf: JsonObject): readonly Finding[] {
  const file = textIn(conf, 'readinessindicatorfile');
  return file === '' || existsSync(file)
    ? []
    : [
        {
          level: 'fault',
          text: `"readinessindicatorfile" "${file}" is not there: every pod waits 45 s for it and fails`,
          fix: 'look at the log of the network that writes it, or take the key out',
        },
      ];
}

function examineKubeconfig(conf: JsonObject): readonly Finding[] {
  const file = textIn(conf, 'kubeconfig');
  return file === '' || existsSync(file)
    ? []
    : [
        {
          level: 'fault',
          text: `"kubeconfig" of multus is "${file}", which is not there: no pod gets its networks`,
          fix: 'run "braid install --multus" in the cluster, or correct "kubeconfig"',
        },
      ];
}
