/** `braid install --form resident` and `braid doctor` where there is systemd: a `systemctl` that writes down what it is asked. */
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { BASE_ENV, type Outcome } from '../lab/execute.ts';
import { Lab } from '../lab/lab.ts';
import { DIST, PLUGINS, STANDALONE } from '../lab/programs.ts';
import { filesIn } from '../lab/state.ts';
import { Agent } from './agent.ts';

const OK = { exitCode: 0 };
const SOCKET = 'braid-agent.socket';
const SERVICE = 'braid-agent.service';

interface Finding {
  readonly level: string;
  readonly text: string;
  readonly fix: string;
}

/** A node that systemd has booted, as far as anybody looks. */
class SystemdNode {
  readonly lab: Lab;
  readonly bin: string;
  /** /etc/systemd/system */
  readonly units: string;
  private readonly asked: string;
  private readonly programs: string;

  constructor(lab: Lab) {
    this.lab = lab;
    [this.bin, this.units, this.programs] = ['bin', 'units', 'programs'].map((name) => lab.folder(name)) as [
      string,
      string,
      string,
    ];
    this.asked = join(lab.dir, 'asked');
    this.answer('');
  }

  /** What systemctl does after it has written down its words. */
  answer(script: string): void {
    const path = join(this.programs, 'systemctl');
    writeFileSync(path, `#!/bin/sh\necho "$*" >>${this.asked}\n${script}\n`, { mode: 0o755 });
  }

  /** What it was asked since the last time. */
  takeAsked(): readonly string[] {
    const lines = existsSync(this.asked) ? readFileSync(this.asked, 'utf8').trimEnd().split('\n') : [];
    rmSync(this.asked, { force: true });
    return lines;
  }

  braid(words: string, socket = join(this.lab.dir, 'run/agent.sock')): Promise<Outcome> {
    const script =
      'mount -t tmpfs none /run && mkdir -p /run/systemd/system && mount --bind "$0" /etc/systemd/system && exec "$@"';
    return this.lab.execute(['sh', '-c', script, this.units, join(STANDALONE, 'braid'), ...words.split(' ')], {
      env: { ...BASE_ENV, PATH: `${this.programs}:${BASE_ENV['PATH']}`, BRAID_AGENT: socket },
      cwd: this.lab.dir,
    });
  }

  uninstall(): Promise<Outcome> {
    const [cache, confs] = ['cache', 'net.d'].map((name) => this.lab.folder(name));
    return this.braid(`uninstall --bin ${this.bin} --cache-dir ${cache} --conf-dir ${confs}`);
  }

  async examine(socket?: string): Promise<readonly Finding[]> {
    const [cache, confs] = ['cache', 'net.d'].map((name) => this.lab.folder(name));
    const words = `doctor --cri none --json --bin ${this.bin} --cache-dir ${cache} --conf-dir ${confs}`;
    return JSON.parse((await this.braid(words, socket)).stdout) as readonly Finding[];
  }
}

const onNode = (test: (node: SystemdNode) => Promise<void>) => async () => {
  await using lab = await Lab.open();
  await test(new SystemdNode(lab));
};

const found = (level: string, text: RegExp, fix: RegExp) => ({
  level,
  text: expect.stringMatching(text),
  fix: expect.stringMatching(fix),
});

describe('braid install --form resident, where there is systemd', () => {
  it(
    'writes the units, and has systemd listen; uninstall gives the folder back to the byte',
    onNode(async (node) => {
      writeFileSync(join(node.units, SERVICE), '[Service]\nExecStart=/bin/own\n');
      const before = filesIn(node.units);
      const outcome = await node.braid(`install --bin ${node.bin} --form resident`);
      expect(outcome, outcome.stderr).toMatchObject({ ...OK, stdout: expect.stringContaining(`${SOCKET} is enabled`) });
      expect(node.takeAsked()).toEqual(['daemon-reload', `enable --now ${SOCKET}`]);
      const service = readFileSync(join(node.units, SERVICE), 'utf8');
      expect(service).toContain(`ExecStart=@${node.bin}/.braid/standalone braid agent --collect 300\n`);
      const shipped = readFileSync(join(DIST, 'deploy', SERVICE), 'utf8');
      expect(service.replaceAll(node.bin, '/opt/cni/bin')).toBe(shipped);
      expect(filesIn(node.units)[SOCKET]).toBe(`644 ${readFileSync(join(DIST, 'deploy', SOCKET), 'utf8')}`);
      expect(await node.uninstall()).toMatchObject(OK);
      expect(node.takeAsked()).toEqual([`disable --now ${SOCKET} ${SERVICE}`, 'daemon-reload']);
      expect(filesIn(node.units)).toEqual(before);
      expect(filesIn(node.bin)).toEqual({});
    }),
  );

  it(
    'has the agent hand out devices from the boot on, and no more',
    onNode(async (node) => {
      const install = `install --bin ${node.bin} --form resident`;
      const files = '--device-config /etc/pcidp/config.json --rdma-device-config /etc/rdma.json';
      expect(await node.braid(`${install} ${files}`)).toMatchObject(OK);
      expect(node.takeAsked()).toEqual(['daemon-reload', `enable --now ${SOCKET} ${SERVICE}`]);
      const service = readFileSync(join(node.units, SERVICE), 'utf8');
      expect(service).toContain(`standalone braid agent --collect 300 ${files}\n`);
      expect(service).toContain(`Also=${SOCKET}\nWantedBy=multi-user.target\n`);
      expect(await node.braid(`${install} ${files}`)).toMatchObject(OK);
      expect(node.takeAsked()).toEqual(['daemon-reload', `enable --now ${SOCKET} ${SERVICE}`]);
      expect(await node.braid(install)).toMatchObject(OK);
      const ending = ['daemon-reload', `disable ${SERVICE}`, `enable --now ${SOCKET}`, `try-restart ${SERVICE}`];
      expect(node.takeAsked()).toEqual(ending);
      expect(readFileSync(join(node.units, SERVICE), 'utf8')).not.toContain('device-config');
      for (const [words, why] of [
        ['--form standalone --device-config /a', 'it is for --form resident with units'],
        ['--form resident --no-units --device-config /a', 'it is for --form resident with units'],
        ['--form resident --device-config a/b', 'it is no absolute path'],
      ]) {
        const outcome = await node.braid(`install --bin ${node.bin} ${words}`);
        expect(outcome).toMatchObject({ exitCode: 2, stderr: expect.stringContaining(why as string) });
      }
      expect(await node.uninstall()).toMatchObject(OK);
      expect(filesIn(node.units)).toEqual({});
    }),
  );

  it(
    'says what systemd says, and goes on the next time',
    onNode(async (node) => {
      node.answer('[ "$1" != enable ] || { echo no such bus >&2; exit 1; }');
      const outcome = await node.braid(`install --bin ${node.bin} --form resident`);
      const why = `braid: cannot run "systemctl enable --now ${SOCKET}": no such bus\n`;
      expect(outcome).toMatchObject({ exitCode: 1, stderr: why });
      node.answer('');
      node.takeAsked();
      expect(await node.braid(`install --bin ${node.bin} --form resident`)).toMatchObject(OK);
      expect(node.takeAsked()).toEqual(['daemon-reload', `enable --now ${SOCKET}`]);
    }),
  );

  it(
    'has no units where somebody else starts the agent, nor in another form',
    onNode(async (node) => {
      for (const words of ['--form resident --on-demand', '--form resident --no-units', '--form standalone']) {
        expect(await node.braid(`install --bin ${node.bin} --form resident`)).toMatchObject(OK);
        node.takeAsked();
        expect(await node.braid(`install --bin ${node.bin} ${words}`)).toMatchObject(OK);
        expect(node.takeAsked()).toEqual([`disable --now ${SOCKET} ${SERVICE}`, 'daemon-reload']);
        expect(filesIn(node.units)).toEqual({});
      }
    }),
  );
});

describe('braid doctor, of launchers', () => {
  it(
    'finds an agent that is away, units that are not as they should be, and a program that is missing',
    onNode(async (node) => {
      await node.braid(`install --bin ${node.bin} --form resident`);
      node.answer('echo UnitFileState=disabled; echo ActiveState=failed; echo NeedDaemonReload=yes');
      expect(await node.examine()).toEqual([
        found('warning', /^no agent listens at .*agent.sock" \(ENOENT\)/, /enable --now braid-agent.socket/),
        found('warning', /socket is not enabled/, /systemctl enable/),
        found('warning', /socket is failed/, /systemctl start/),
        found('fault', /service has failed/, /journalctl/),
        found('warning', /other units/, /daemon-reload/),
      ]);
      node.answer('echo UnitFileState=enabled; echo ActiveState=active');
      rmSync(join(node.bin, '.braid/standalone'));
      expect(await node.examine()).toContainEqual(found('fault', /no program beside them/, /--form resident/));
      await node.braid(`install --bin ${node.bin} --form resident --on-demand`);
      expect(await node.examine()).toEqual([]);
    }),
  );

  it(
    'finds nothing beside an agent of the same build, else its build, its socket’s modes, and that it was killed',
    onNode(async (node) => {
      await using agent = await Agent.start(node.lab);
      node.answer('echo UnitFileState=enabled; echo ActiveState=active');
      await node.braid(`install --bin ${node.bin} --form resident`);
      expect(await node.examine(agent.socket)).toEqual([]);
      chmodSync(agent.socket, 0o666);
      chmodSync(dirname(agent.socket), 0o755);
      expect(await node.examine(agent.socket)).toEqual([
        found('fault', /others than root may use ".*run"/, /chmod 700/),
        found('fault', /others than root may use ".*agent.sock"/, /chmod 600/),
      ]);
      chmodSync(agent.socket, 0o600);
      chmodSync(dirname(agent.socket), 0o700);
      const manifest = join(node.bin, '.braid.json');
      writeFileSync(manifest, readFileSync(manifest, 'utf8').replace(/"build": "\w+"/, '"build": "old"'));
      expect(await node.examine(agent.socket)).toEqual([found('warning', /of another build/, /restart/)]);
      await agent.end('SIGKILL');
      expect(await node.examine(agent.socket)).toEqual([found('warning', /the one that made it is gone/, /enable/)]);
    }),
  );
});

describe('a node without the libraries of the program', () => {
  it(
    'has launchers while an agent listens, and is refused else',
    onNode(async (node) => {
      // below the lab's folder there is no loader: whatever is started there is static
      const root = node.lab.dir;
      const words = `install --multus --form resident --host-root=${root} --cni-bin-dir=${node.bin} --cni-conf-dir=${node.lab.folder('net.d')}`;
      const refused = await node.braid(words, '/run/agent.sock');
      expect(refused).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('and no agent listens at') });
      expect(readdirSync(node.bin).filter((name) => name !== '.braid.json')).toEqual([]);
      await using agent = await Agent.start(node.lab);
      const outcome = await node.braid(words, '/run/agent.sock');
      expect(outcome.stdout).toContain('while no agent listens, calls fail with code 11');
      expect(readdirSync(node.bin)).toEqual(expect.arrayContaining([...PLUGINS]));
      expect(node.takeAsked()).toEqual([]); // its systemd is not this one's
      expect(await agent.end()).toBe(0);
    }),
  );
});
