/**
 * What kubelets and device plugins say to each other, with the field numbers of
 * https://github.com/kubernetes/kubelet/blob/v0.36.3/pkg/apis/deviceplugin/v1beta1/api.proto and
 * https://github.com/kubernetes/kubelet/blob/v0.36.3/pkg/apis/pluginregistration/v1/api.proto
 */
import protobuf from 'protobufjs';

type Kind = 'string' | 'bool' | 'int32' | 'int64' | (string & {});
/** By name: number and kind; a kind that ends with `[]` is a list, `{}` a map of strings. */
type Fields = Readonly<Record<string, readonly [number: number, kind: Kind]>>;

const V1BETA1: Readonly<Record<string, Fields>> = {
  Empty: {},
  DevicePluginOptions: { preStartRequired: [1, 'bool'], getPreferredAllocationAvailable: [2, 'bool'] },
  RegisterRequest: {
    version: [1, 'string'],
    endpoint: [2, 'string'],
    resourceName: [3, 'string'],
    options: [4, 'DevicePluginOptions'],
  },
  ListAndWatchResponse: { devices: [1, 'Device[]'] },
  Device: { ID: [1, 'string'], health: [2, 'string'], topology: [3, 'TopologyInfo'] },
  TopologyInfo: { nodes: [1, 'NUMANode[]'] },
  NUMANode: { ID: [1, 'int64'] },
  PreStartContainerRequest: { devicesIds: [1, 'string[]'] },
  PreferredAllocationRequest: { containerRequests: [1, 'ContainerPreferredAllocationRequest[]'] },
  ContainerPreferredAllocationRequest: {
    availableDeviceIDs: [1, 'string[]'],
    mustIncludeDeviceIDs: [2, 'string[]'],
    allocationSize: [3, 'int32'],
  },
  PreferredAllocationResponse: { containerResponses: [1, 'ContainerPreferredAllocationResponse[]'] },
  ContainerPreferredAllocationResponse: { deviceIDs: [1, 'string[]'] },
  AllocateRequest: { containerRequests: [1, 'ContainerAllocateRequest[]'] },
  ContainerAllocateRequest: { devicesIds: [1, 'string[]'] },
  AllocateResponse: { containerResponses: [1, 'ContainerAllocateResponse[]'] },
  ContainerAllocateResponse: {
    envs: [1, 'string{}'],
    mounts: [2, 'Mount[]'],
    devices: [3, 'DeviceSpec[]'],
    annotations: [4, 'string{}'],
    cdiDevices: [5, 'CDIDevice[]'],
  },
  Mount: { containerPath: [1, 'string'], hostPath: [2, 'string'], readOnly: [3, 'bool'] },
  DeviceSpec: { containerPath: [1, 'string'], hostPath: [2, 'string'], permissions: [3, 'string'] },
  CDIDevice: { name: [1, 'string'] },
};

const PLUGIN_REGISTRATION: Readonly<Record<string, Fields>> = {
  InfoRequest: {},
  PluginInfo: {
    type: [1, 'string'],
    name: [2, 'string'],
    endpoint: [3, 'string'],
    supportedVersions: [4, 'string[]'],
  },
  RegistrationStatus: { pluginRegistered: [1, 'bool'], error: [2, 'string'] },
  RegistrationStatusResponse: {},
};

const root = protobuf.Root.fromJSON({
  nested: { v1beta1: packageOf(V1BETA1), pluginregistration: packageOf(PLUGIN_REGISTRATION) },
});

function packageOf(messages: Readonly<Record<string, Fields>>): protobuf.INamespace {
  const nested = Object.entries(messages).map(([name, fields]): [string, protobuf.AnyNestedObject] => [
    name,
    { fields: Object.fromEntries(Object.entries(fields).map(([field, form]) => [field, fieldOf(...form)])) },
  ]);
  return { nested: Object.fromEntries(nested) };
}

function fieldOf(id: number, kind: Kind): protobuf.IField {
  if (kind.endsWith('{}')) {
    return { id, type: kind.slice(0, -2), keyType: 'string' } as protobuf.IMapField;
  }
  return kind.endsWith('[]') ? { id, type: kind.slice(0, -2), rule: 'repeated' } : { id, type: kind };
}

/** A message as bytes and back; what is absent has its default. */
export interface Codec<T> {
  encode(value: T): Buffer;
  /** @throws Error when it is none */
  decode(bytes: Uint8Array): T;
}

/** @param name `v1beta1.Device` */
export function codecOf<T extends object>(name: string): Codec<T> {
  const type = root.lookupType(name);
  return {
    encode: (value) => Buffer.from(type.encode(value as Record<string, unknown>).finish()),
    decode: (bytes) => type.toObject(type.decode(bytes), { defaults: true, longs: Number, arrays: true }) as T,
  };
}
