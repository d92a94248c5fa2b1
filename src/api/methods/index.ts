/** The public types of the API's methods. */

export type { Bytes, Env, Signal } from "../values.ts";
export type * from "./cron-types.ts";
export type {
  BatchReadResult,
  BatchWriteEntry,
  BatchWriteResult,
  DirEntry,
  EntryType,
  ReaddirRecursiveOptions,
  RecursiveOption,
  VirtualStat,
} from "./files.ts";
export type {
  EventLogEntry,
  EventLogOptions,
  Labels,
  ResourceUse,
  UsedResources,
  VmState,
  VmStatus,
  VmUsage,
} from "./machine.ts";
export type {
  HostDirPlugin,
  MemoryPlugin,
  MountInfo,
  MountOptions,
  MountPlugin,
  OverlayPlugin,
  VolumePlugin,
} from "./mounts.ts";
export type {
  NetworkLogCode,
  NetworkLogEntry,
  NetworkPolicy,
  NetworkPolicyInfo,
  OutboundPolicy,
  VmFetchOptions,
  VmFetchResponse,
  VmPort,
  WaitForPortOptions,
} from "./network.ts";
export type { NetworkAnswer, NetworkQuestion, NetworkRequest } from "./network-requests.ts";
export type { Preview, PreviewInfo, PreviewLogEntry, PreviewOptions, PreviewUrl } from "./previews.ts";
export type * from "./process-types.ts";
export type {
  ReadRecordingOptions,
  RecordingInfo,
  RecordingPart,
} from "./recordings.ts";
export type { SecretInfo, SecretPart, VmSecret } from "./secrets.ts";
export type {
  ServiceInfo,
  ServiceLogs,
  ServiceLogsOptions,
  ServiceOptions,
  ServiceRestart,
  ServiceState,
  StopServiceOptions,
} from "./services.ts";
export type { SessionEvent } from "./session-event.ts";
export type * from "./session-types.ts";
export type {
  ConnectTerminalOptions,
  OpenedShell,
  OpenShellOptions,
  ShellChunk,
  ShellInfo,
  ShellOutput,
  ShellSnapshot,
  SnapshotMode,
} from "./shells.ts";
export type * from "./snapshot-types.ts";
export type { VmMethodName, VmMethods } from "./table.ts";
export type {
  CallOutcome,
  CallRequest,
  CallTicket,
  FileReadTransfer,
  TarReadTransfer,
  TransferTicket,
} from "./transport.ts";
export type { FileWatchInfo, WatchFilesOptions } from "./watches.ts";
