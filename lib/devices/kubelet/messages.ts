import { codecOf } from './definitions.ts';

export interface ListedDevice {
  readonly ID: string;
  readonly health: 'Healthy' | 'Unhealthy';
  /** absent: no NUMA node is known */
  readonly topology?: { readonly nodes: readonly { readonly ID: number }[] } | undefined;
}

export interface DeviceSpec {
  readonly containerPath: string;
  readonly hostPath: string;
  /** of `r`, `w`, `m` */
  readonly permissions: string;
}

/** What a container gets. */
export interface ContainerAnswer {
  readonly envs: Readonly<Record<string, string>>;
  readonly devices: readonly DeviceSpec[];
  readonly annotations: Readonly<Record<string, string>>;
  readonly cdiDevices: readonly { readonly name: string }[];
}

export interface PreferenceRequest {
  readonly availableDeviceIDs: readonly string[];
  readonly mustIncludeDeviceIDs: readonly string[];
  readonly allocationSize: number;
}

export const EMPTY = codecOf<object>('v1beta1.Empty');
export const OPTIONS = codecOf<{
  readonly preStartRequired: boolean;
  readonly getPreferredAllocationAvailable: boolean;
}>('v1beta1.DevicePluginOptions');
export const REGISTER = codecOf<{ readonly version: string; readonly endpoint: string; readonly resourceName: string }>(
  'v1beta1.RegisterRequest',
);
export const DEVICES = codecOf<{ readonly devices: readonly ListedDevice[] }>('v1beta1.ListAndWatchResponse');
export const PREFERENCE_REQUEST = codecOf<{ readonly containerRequests: readonly PreferenceRequest[] }>(
  'v1beta1.PreferredAllocationRequest',
);
export const PREFERENCE = codecOf<{
  readonly containerResponses: readonly { readonly deviceIDs: readonly string[] }[];
}>('v1beta1.PreferredAllocationResponse');
export const ALLOCATE_REQUEST = codecOf<{
  readonly containerRequests: readonly { readonly devicesIds: readonly string[] }[];
}>('v1beta1.AllocateRequest');
export const ALLOCATED = codecOf<{ readonly containerResponses: readonly ContainerAnswer[] }>(
  'v1beta1.AllocateResponse',
);
export const PRE_START = codecOf<{ readonly devicesIds: readonly string[] }>('v1beta1.PreStartContainerRequest');

export const INFO_REQUEST = codecOf<object>('pluginregistration.InfoRequest');
export const PLUGIN_INFO = codecOf<{
  readonly type: string;
  readonly name: string;
  readonly endpoint: string;
  readonly supportedVersions: readonly string[];
}>('pluginregistration.PluginInfo');
export const REGISTRATION_STATUS = codecOf<{ readonly pluginRegistered: boolean; readonly error: string }>(
  'pluginregistration.RegistrationStatus',
);
export const NOTHING = codecOf<object>('pluginregistration.RegistrationStatusResponse');
