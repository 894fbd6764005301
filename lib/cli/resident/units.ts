import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { CniError, messageOf } from '../../cni/errors.ts';
import type { Scope } from '../../cni/scope.ts';
import type { Env, Executed } from '../../sys/execute.ts';
import { bringFiles, contentOf, restoreFiles, textSum } from '../multus/files.ts';
import { STANDALONE_NAME } from '../program.ts';

/** Where a node's own units are. */
export const UNIT_FOLDER = '/etc/systemd/system';

export const SERVICE_UNIT = 'braid-agent.service';
/** Opened by systemd at boot: the first call starts the service, and none is lost while it is replaced. */
export const SOCKET_UNIT = 'braid-agent.socket';

/** An agent that is told to end finishes its calls. */
const STOP_TIMEOUT_MS = 320_000;
const TIMEOUT_MS = 60_000;

const UNIT_MODE = 0o644;

/** sd_booted(3) */
export const isSystemdThere = (): boolean => existsSync('/run/systemd/system');

const startOf = (bin: string): string => `ExecStart=@${join(bin, STANDALONE_NAME)} braid agent --collect 300`;

/** Configurations of devices that the agent hands out: words of `braid agent`. */
export type DeviceWords = readonly string[];

/** The units, by name, for a plugin folder. An agent that hands out devices runs from the boot on. */
export const unitTexts = (bin: string, devices: DeviceWords = []): Readonly<Record<string, string>> => ({
  [SERVICE_UNIT]: `[Unit]
Description=CNI plugins of this node, in one process
Documentation=man:braid(8)
Requires=${SOCKET_UNIT}
After=${SOCKET_UNIT}

[Service]
Type=exec
${[startOf(bin), ...devices].join(' ')}
Restart=always
# Calls that are under way end first; delegates are not signalled.
KillMode=mixed
TimeoutStopSec=300
LimitNOFILE=65536
OOMScoreAdjust=-900

[Install]
Also=${SOCKET_UNIT}
${devices.length === 0 ? '' : 'WantedBy=multi-user.target\n'}`,
  [SOCKET_UNIT]: `# Callers wait here while the agent starts, or is replaced.
[Unit]
Description=Calls of CNI plugins on this node

[Socket]
ListenStream=/run/braid/agent.sock
SocketMode=0600
DirectoryMode=0700
Backlog=4096
# Without a socket, launchers execute the standalone program at once.
RemoveOnStop=yes

[Install]
WantedBy=sockets.target
`,
});

/** Whether units of ours start the agent of this plugin folder. */
export const hasUnits = (bin: string): boolean =>
  contentOf(join(UNIT_FOLDER, SERVICE_UNIT))?.includes(startOf(bin)) ?? false;

/**
 * Writes the units, and has systemd listen now and after each boot. What somebody else has under their names is kept.
 *
 * @returns names of the units that were changed
 * @throws CniError in systemd's words
 */
export async function bringUnits(
  scope: Scope,
  bin: string,
  devices: DeviceWords,
  env: Env,
): Promise<readonly string[]> {
  const isUpdate = hasUnits(bin);
  const files = Object.entries(unitTexts(bin, devices)).map(([name, content]) => ({ name, content, mode: UNIT_MODE }));
  const changed = bringFiles(UNIT_FOLDER, { files, unwanted: [] }, await textSum());
  await systemctl(scope, env, ['daemon-reload']);
  const started = devices.length === 0 ? [SOCKET_UNIT] : [SOCKET_UNIT, SERVICE_UNIT];
  if (isUpdate && changed.includes(SERVICE_UNIT)) {
    await systemctl(scope, env, ['disable', SERVICE_UNIT]); // it may be wanted by others than before
  }
  await systemctl(scope, env, ['enable', '--now', ...started]);
  if (isUpdate && changed.includes(SERVICE_UNIT)) {
    await systemctl(scope, env, ['try-restart', SERVICE_UNIT], STOP_TIMEOUT_MS);
  }
  return changed;
}

/**
 * Ends the agent when its calls have ended, and gives the folder back what it had.
 *
 * @throws CniError in systemd's words
 */
export async function removeUnits(scope: Scope, env: Env): Promise<void> {
  const isThere = isSystemdThere();
  if (isThere) {
    await systemctl(scope, env, ['disable', '--now', SOCKET_UNIT, SERVICE_UNIT], STOP_TIMEOUT_MS);
  }
  restoreFiles(UNIT_FOLDER, await textSum());
  if (isThere) {
    await systemctl(scope, env, ['daemon-reload']);
  }
}

/** What systemd knows of a unit: `ActiveState` and the like. */
export async function stateOfUnit(scope: Scope, env: Env, unit: string): Promise<ReadonlyMap<string, string>> {
  const properties = '--property=LoadState,ActiveState,UnitFileState,NeedDaemonReload';
  const text = await systemctl(scope, env, ['show', properties, unit]);
  return new Map(text.split('\n').map((line) => [line.replace(/=.*/, ''), line.replace(/^[^=]*=/, '')]));
}

async function systemctl(scope: Scope, env: Env, args: readonly string[], timeoutMs = TIMEOUT_MS): Promise<string> {
  let told: Executed;
  const path = programIn(env['PATH'] ?? '', 'systemctl');
  try {
    told = await scope.execute({ path, args, env: { PATH: env['PATH'] }, stdin: Buffer.alloc(0), timeoutMs });
  } catch (error) {
    throw failed(args, messageOf(error));
  }
  if (told.exitCode !== 0) {
    throw failed(args, told.stderr.toString('utf8').trim() || `exit code ${told.exitCode ?? told.signal}`);
  }
  return told.stdout.toString('utf8');
}

const programIn = (path: string, name: string): string =>
  [...path.split(':'), '/usr/bin', '/bin'].map((folder) => join(folder || '/', name)).find(existsSync) ?? name;

const failed = (args: readonly string[], why: string): CniError =>
  new CniError('internal', `cannot run "systemctl ${args.join(' ')}": ${why}`);
