/** What devlink tells of devices. Each is asked once, and again when it may have changed. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  DEVLINK_CMD_ESWITCH_GET,
  DEVLINK_CMD_GET,
  DEVLINK_CMD_INFO_GET,
  DEVLINK_CMD_PARAM_GET,
  type DevlinkAttributes,
  DevlinkTable,
  ESWITCH_MODES,
} from '../netlink/codec/devlink.ts';
import { attributesIn, CTRL_CMD_GETFAMILY, FamilyTable, GENL_ID_CTRL, genericBody } from '../netlink/codec/generic.ts';
import type { Conversation } from '../netlink/conversation.ts';
import { hasErrno } from '../netlink/errno.ts';
import type { KernelFacts } from './facts.ts';
import type { Changes } from './kernel-events.ts';
import type { Need } from './source.ts';

export type DevlinkFacts = Pick<KernelFacts, 'eswitchModes' | 'rdmaEnabled' | 'ddpProfiles'>;

interface Known {
  readonly eswitchMode: string;
  readonly isRdmaEnabled: boolean;
  readonly ddpProfile: string;
}

const FAMILY = 'devlink';
const RDMA_PARAMETER = 'enable_rdma';
/** The package that runs on the card, by its name. */
const DDP_VERSION = 'fw.app.name';

export class Devlink {
  private readonly netlink: Conversation;
  private readonly sysfs: string;
  private family: number | undefined;
  private known: ReadonlyMap<string, Known> = new Map();
  private asked = '';

  /**
   * @param netlink of generic netlink
   * @param sysfs root of sysfs
   */
  constructor(netlink: Conversation, sysfs: string) {
    this.netlink = netlink;
    this.sysfs = sysfs;
  }

  /**
   * @param changes devices that may have changed since the last time
   * @param needs what somebody wants to know beside the mode of cards: firmware answers slowly
   * @throws ErrnoError
   */
  async read(changes: Changes, needs: ReadonlySet<Need>): Promise<DevlinkFacts> {
    const asked = [...needs].sort().join();
    const isOther = asked !== this.asked;
    if (isOther || changes === 'all' || changes.size > 0) {
      const next = new Map<string, Known>();
      for (const one of await this.devices()) {
        const { bus = '', device = '' } = one;
        const before = isOther || changes === 'all' || changes.has(device) ? undefined : this.known.get(device);
        next.set(device, before ?? (await this.ask({ bus, device }, needs)));
      }
      this.known = next;
      this.asked = asked;
    }
    const all = [...this.known];
    return {
      eswitchModes: new Map(all.flatMap(([name, { eswitchMode }]) => (eswitchMode ? [[name, eswitchMode]] : []))),
      rdmaEnabled: new Set(all.flatMap(([name, { isRdmaEnabled }]) => (isRdmaEnabled ? [name] : []))),
      ddpProfiles: new Map(all.flatMap(([name, { ddpProfile }]) => (ddpProfile ? [[name, ddpProfile]] : []))),
    };
  }

  private async devices(): Promise<readonly DevlinkAttributes[]> {
    const bodies = await this.ifThere(async (type) =>
      this.netlink.dump({ type, body: genericBody(DEVLINK_CMD_GET, []), operation: 'list the devices of devlink' }),
    );
    return (bodies ?? [])
      .map((body) => DevlinkTable.decode(attributesIn(body)))
      .filter(({ bus }) => bus === 'pci' || bus === 'auxiliary');
  }

  private async ask(one: { readonly bus: string; readonly device: string }, needs: ReadonlySet<Need>): Promise<Known> {
    const folder = join(this.sysfs, 'bus', one.bus, 'devices', one.device);
    const isCard = one.bus === 'pci' && !existsSync(join(folder, 'physfn'));
    const mode = isCard ? (await this.answer(DEVLINK_CMD_ESWITCH_GET, one))?.eswitchMode : undefined;
    const parameter =
      needs.has('rdma') && !hasEntries(join(folder, 'infiniband'))
        ? await this.answer(DEVLINK_CMD_PARAM_GET, { ...one, parameterName: RDMA_PARAMETER })
        : undefined;
    const info = needs.has('ddp') && isCard ? await this.answer(DEVLINK_CMD_INFO_GET, one) : undefined;
    return {
      eswitchMode: (mode === undefined ? undefined : ESWITCH_MODES[mode]) ?? '',
      isRdmaEnabled: parameter?.parameter?.values?.value?.[0]?.bytes !== undefined,
      ddpProfile: info?.running?.find(({ name }) => name === DDP_VERSION)?.value ?? '',
    };
  }

  /** undefined: the device does not tell, or has gone. */
  private answer(command: number, about: DevlinkAttributes): Promise<DevlinkAttributes | undefined> {
    const operation = `ask devlink about ${about.bus}/${about.device}`;
    return this.ifThere(async (type) => {
      const body = genericBody(command, DevlinkTable.encode(about));
      const isSlow = command === DEVLINK_CMD_INFO_GET;
      return DevlinkTable.decode(attributesIn(await this.netlink.ask({ type, body, operation, isSlow })));
    });
  }

  private async ifThere<T>(work: (family: number) => Promise<T>): Promise<T | undefined> {
    try {
      this.family ??= await this.findFamily();
      return await work(this.family);
    } catch (error) {
      if (hasErrno(error, ...SILENT)) {
        return undefined;
      }
      throw error;
    }
  }

  private async findFamily(): Promise<number> {
    const answer = await this.netlink.ask({
      type: GENL_ID_CTRL,
      body: genericBody(CTRL_CMD_GETFAMILY, FamilyTable.encode({ name: FAMILY })),
      operation: 'find devlink',
    });
    return FamilyTable.decode(attributesIn(answer)).id ?? 0;
  }
}

/** No devlink in this kernel, no such device, no such thing of it; a device that just resets. */
const SILENT = ['ENOENT', 'ENODEV', 'EOPNOTSUPP', 'EINVAL', 'EPERM', 'EBUSY', 'EIO', 'EPROTONOSUPPORT'] as const;

function hasEntries(folder: string): boolean {
  return existsSync(folder) && readdirSync(folder).length > 0;
}
