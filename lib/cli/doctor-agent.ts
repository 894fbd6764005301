import { existsSync, lstatSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type AtSocket, askAgent } from '../agent/ask.ts';
import { messageOf } from '../cni/errors.ts';
import type { Finding } from '../cni/findings.ts';
import type { Scope } from '../cni/scope.ts';
import type { Env } from '../sys/execute.ts';
import { missingLibraries } from './libraries.ts';
import { readManifest } from './manifest.ts';
import { STANDALONE_NAME } from './program.ts';
import { agentSocket, launchersIn } from './resident/settle.ts';
import { onDemandSeconds } from './resident/support.ts';
import { hasUnits, isSystemdThere, SERVICE_UNIT, SOCKET_UNIT, stateOfUnit } from './resident/units.ts';

const fault = (text: string, fix: string): Finding => ({ level: 'fault', text, fix });
const warning = (text: string, fix: string): Finding => ({ level: 'warning', text, fix });

/** Checks what launchers need: an agent, or the program beside them. Nothing where there are none. */
export async function examineAgent(scope: Scope, bin: string, env: Env): Promise<readonly Finding[]> {
  if (launchersIn(bin).length === 0) {
    return [];
  }
  const socket = agentSocket(env);
  const at = await askAgent(socket);
  return [
    ...examineSocket(socket),
    ...examineAnswer(bin, socket, at),
    ...(await examineProgram(scope, bin, at)),
    ...(await examineUnits(scope, bin, env)),
  ];
}

/** Whoever may write to the socket, or put another in its place, is root to this node's pods. */
function examineSocket(socket: string): readonly Finding[] {
  const expected = [
    [dirname(socket), 0o700],
    [socket, 0o600],
  ] as const;
  return expected.flatMap(([path, mode]) => {
    const facts = lstatSync(path, { throwIfNoEntry: false });
    return facts === undefined || (facts.uid === 0 && (facts.mode & 0o777 & ~mode) === 0)
      ? []
      : [fault(`others than root may use "${path}"`, `chown 0:0 ${path}; chmod ${mode.toString(8)} ${path}`)];
  });
}

function examineAnswer(bin: string, socket: string, at: AtSocket): readonly Finding[] {
  if (at.state === 'silent') {
    return [fault(`the agent at "${socket}" does not answer`, `restart it: "systemctl restart ${SERVICE_UNIT}"`)];
  }
  if (at.state === 'nobody' && onDemandSeconds(bin) === undefined) {
    const why = at.code === 'ECONNREFUSED' ? 'the one that made it is gone' : at.code;
    return [
      warning(
        `no agent listens at "${socket}" (${why}): launchers in "${bin}" start a program for each call, which is slow`,
        hasUnits(bin)
          ? `systemctl enable --now ${SOCKET_UNIT}`
          : 'run "braid agent" as a service, or install with --form resident --on-demand',
      ),
    ];
  }
  const manifest = readManifest(bin);
  return at.state === 'answers' && manifest !== undefined && manifest.build !== at.about.build
    ? [
        warning(
          `the agent is version ${at.about.version} of another build than the programs in "${bin}" (${manifest.version})`,
          `restart it: "systemctl restart ${SERVICE_UNIT}", or the pod that it is in`,
        ),
      ]
    : [];
}

/** It serves calls where no agent does. */
async function examineProgram(scope: Scope, bin: string, { state }: AtSocket): Promise<readonly Finding[]> {
  const path = join(bin, STANDALONE_NAME);
  const report = state === 'answers' ? warning : fault;
  if (!existsSync(path)) {
    const text = `launchers in "${bin}" have no program beside them: without an agent calls fail`;
    return [report(text, `run "braid install --bin ${bin} --form resident"`)];
  }
  return (await missingLibraries(scope, path)).map(({ what, fix }) =>
    report(`"${path}" does not run on this node: ${what}: without an agent calls fail`, fix),
  );
}

async function examineUnits(scope: Scope, bin: string, env: Env): Promise<readonly Finding[]> {
  if (!hasUnits(bin) || !isSystemdThere()) {
    return [];
  }
  try {
    const [socket, service] = [await stateOfUnit(scope, env, SOCKET_UNIT), await stateOfUnit(scope, env, SERVICE_UNIT)];
    return [
      ...(socket.get('UnitFileState') === 'enabled'
        ? []
        : [warning(`${SOCKET_UNIT} is not enabled: no agent after a boot`, `systemctl enable ${SOCKET_UNIT}`)]),
      ...(socket.get('ActiveState') === 'active'
        ? []
        : [warning(`${SOCKET_UNIT} is ${socket.get('ActiveState')}`, `systemctl start ${SOCKET_UNIT}`)]),
      ...(service.get('ActiveState') === 'failed'
        ? [fault(`${SERVICE_UNIT} has failed`, `see "journalctl -u ${SERVICE_UNIT}"`)]
        : []),
      ...([socket, service].some((unit) => unit.get('NeedDaemonReload') === 'yes')
        ? [warning('systemd has other units of the agent than its folder', 'systemctl daemon-reload')]
        : []),
    ];
  } catch (error) {
    return [warning(messageOf(error), 'run braid as root on the node itself')];
  }
}
