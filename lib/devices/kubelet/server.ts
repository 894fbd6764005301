import { mkdtempSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import {
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import { messageOf } from '../../cni/errors.ts';
import { fullName } from '../names.ts';
import type { OfferReport } from '../report.ts';
import { type Resource, UnknownDevice } from '../resource.ts';
import { Watched } from '../watched.ts';
import { identityOf } from './folders.ts';
import type { ListedDevice } from './messages.ts';
import { Predecessor } from './predecessor.ts';
import { DEVICE_PLUGIN, PLUGIN_REGISTRATION } from './service.ts';

export interface ServerParts {
  readonly resource: Resource;
  readonly folder: string;
  readonly log: (line: string) => void;
  readonly report: OfferReport;
  /** the one that it takes the socket of */
  readonly before?: ResourceServer;
}

/** What kubelets of the last years speak; the older name is in the list because upstream's is. */
const VERSIONS = ['v1alpha1', 'v1beta1'];

const HIDDEN = '.braid-';

/** Serves one resource on a socket. */
export class ResourceServer implements AsyncDisposable {
  /** kubelets that follow the list of devices */
  readonly followers = new Watched(0);
  readonly path: string;
  private readonly parts: ServerParts;
  private readonly server = new Server();
  private readonly streams = new Set<ServerWritableStream<object, { readonly devices: readonly ListedDevice[] }>>();
  private identity: string | undefined;
  private hidden: string | undefined;
  private other: Predecessor | undefined;

  private constructor(parts: ServerParts) {
    this.parts = parts;
    this.path = join(parts.folder, parts.resource.socketName);
    this.server.addService(DEVICE_PLUGIN, this.devicePlugin());
    this.server.addService(PLUGIN_REGISTRATION, this.registration());
  }

  /**
   * Listens; a socket that is there already is replaced in one step. A kubelet looks at each socket that appears, so it
   * gets its name when somebody listens.
   *
   * @throws Error
   */
  static async listen(parts: ServerParts): Promise<ResourceServer> {
    const own = new ResourceServer(parts);
    try {
      await own.appear();
    } catch (error) {
      await own[Symbol.asyncDispose]();
      throw error;
    }
    return own;
  }

  /**
   * A kubelet wants to see each thing that appears in its folder, and logs an error when it has gone meanwhile, whatever its
   * name; it leaves alone what is in a hidden folder. So the socket comes from one that stays until the kubelet has seen it.
   */
  private async appear(): Promise<void> {
    const { folder, before } = this.parts;
    removeLeftIn(folder);
    this.hidden = mkdtempSync(join(folder, HIDDEN));
    const socket = join(this.hidden, 's');
    await new Promise<void>((resolve, reject) => {
      this.server.bindAsync(`unix:${socket}`, ServerCredentials.createInsecure(), (error) =>
        error === null ? resolve() : reject(error),
      );
    });
    this.other = before?.isThere() === true ? undefined : await Predecessor.at(this.path);
    renameSync(socket, this.path);
    this.identity = identityOf(this.path);
  }

  /** Whether its socket is still there: a kubelet that starts removes those in its older folder. */
  isThere(): boolean {
    return this.identity !== undefined && identityOf(this.path) === this.identity;
  }

  /** The other program that it has taken the place of. */
  get predecessor(): Predecessor | undefined {
    return this.other;
  }

  /** Whether another socket has taken its place. */
  isReplaced(): boolean {
    return !this.isThere() && (statSync(this.path, { throwIfNoEntry: false })?.isSocket() ?? false);
  }

  endStreams(): void {
    for (const stream of this.streams) {
      stream.end();
    }
  }

  /** Ends all streams, and removes the socket if it is still its own. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.isThere()) {
      rmSync(this.path, { force: true });
    }
    this.other?.[Symbol.dispose]();
    this.isSeen();
    this.endStreams();
    await new Promise<void>((resolve) => {
      this.server.tryShutdown(() => resolve());
      setTimeout(() => this.server.forceShutdown(), SHUTDOWN_MS).unref();
    });
  }

  /** Whoever follows has seen all that led here. */
  private isSeen(): void {
    if (this.hidden !== undefined) {
      rmSync(this.hidden, { recursive: true, force: true });
      this.hidden = undefined;
    }
  }

  private devicePlugin() {
    const { resource, report } = this.parts;
    const name = fullName(resource.name);
    return {
      GetDevicePluginOptions: unary(async () => ({
        preStartRequired: false,
        getPreferredAllocationAvailable: resource.prefer !== undefined,
      })),
      ListAndWatch: (stream: ServerWritableStream<object, { readonly devices: readonly ListedDevice[] }>) =>
        this.follow(stream),
      GetPreferredAllocation: unary(
        async ({ containerRequests }: ReturnType<typeof DEVICE_PLUGIN.GetPreferredAllocation.requestDeserialize>) => ({
          containerResponses: await Promise.all(
            containerRequests.map(async (request) => ({ deviceIDs: (await resource.prefer?.(request)) ?? [] })),
          ),
        }),
      ),
      Allocate: unary(async ({ containerRequests }: ReturnType<typeof DEVICE_PLUGIN.Allocate.requestDeserialize>) => ({
        containerResponses: await Promise.all(
          containerRequests.map(({ devicesIds }) =>
            resource.allocate(devicesIds).then(
              (answer) => {
                report.allocated(name, true);
                return answer;
              },
              (error: unknown) => {
                report.allocated(name, false);
                throw error;
              },
            ),
          ),
        ),
      })),
      PreStartContainer: unary(async () => ({})),
    };
  }

  private registration() {
    const { resource, log, report } = this.parts;
    const name = fullName(resource.name);
    return {
      GetInfo: unary(async () => ({
        type: 'DevicePlugin',
        name,
        endpoint: this.path,
        supportedVersions: VERSIONS,
      })),
      NotifyRegistrationStatus: unary(async (said: { readonly pluginRegistered: boolean; readonly error: string }) => {
        report.registered(name, said.pluginRegistered);
        log(said.pluginRegistered ? `${name}: registered` : `${name}: the kubelet refuses it: ${said.error}`);
        return {};
      }),
    };
  }

  /** Sends the devices, and again whenever they change. A kubelet that reads slowly gets the newest list only. */
  private follow(stream: ServerWritableStream<object, { readonly devices: readonly ListedDevice[] }>): void {
    const { devices } = this.parts.resource;
    this.isSeen();
    let isFull = false;
    let isStale = false;
    const send = (): void => {
      isStale = isFull;
      if (!isFull) {
        isFull = !stream.write({ devices: devices.value });
      }
    };
    const following = devices.follow(send);
    const end = (): void => {
      following[Symbol.dispose]();
      if (this.streams.delete(stream)) {
        this.followers.value = this.streams.size;
      }
    };
    stream.on('drain', () => {
      isFull = false;
      if (isStale) {
        send();
      }
    });
    for (const event of ['cancelled', 'close', 'error', 'finish']) {
      stream.on(event, end);
    }
    this.streams.add(stream);
    this.followers.value = this.streams.size;
    send();
  }
}

const SHUTDOWN_MS = 1_000;
/** Nobody needs a hidden folder for so long. */
const LEFT_MS = 60_000;

/** Hidden folders of programs that were killed. */
function removeLeftIn(folder: string): void {
  for (const name of readdirSync(folder).filter((one) => one.startsWith(HIDDEN))) {
    const path = join(folder, name);
    const isOld =
      (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Number.POSITIVE_INFINITY) < Date.now() - LEFT_MS;
    if (isOld) {
      rmSync(path, { recursive: true, force: true });
    }
  }
}

/** A method with one answer. What it throws the kubelet gets as a status, with its words. */
function unary<I, O>(work: (request: I) => Promise<O>) {
  return (call: ServerUnaryCall<I, O>, answer: sendUnaryData<O>): void => {
    work(call.request).then(
      (value) => answer(null, value),
      (error: unknown) =>
        answer({
          code: error instanceof UnknownDevice ? status.NOT_FOUND : status.UNKNOWN,
          details: messageOf(error),
        }),
    );
  };
}
