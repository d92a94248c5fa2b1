/**
 * The client of agent-vm, for Node and browsers.
 *
 * @module
 */

export { AgentVmError, type ErrorCode, type ErrorMetadata, type PosixCode } from "../api/errors.ts";
export type * from "../api/events.ts";
export type * from "../api/methods/index.ts";
export type { Right } from "../api/rights.ts";
export type {
  CreateTokenOptions,
  IssuedToken,
  ListTokensOptions,
  TokenInfo,
  TokenPage,
  VmPrefix,
} from "../api/tokens.ts";
export type { OwnLimits, VmChoices, VmInput } from "../api/vm-input.ts";
export type { VmListEntry, VmListOptions, VmListUse, VmPage } from "../api/vm-list.ts";
export { createClient } from "./client.ts";
export {
  type AttachTerminalOptions,
  type Terminal,
  type TerminalOptions,
  terminal,
} from "./open-terminal.ts";
export type { PieceSource } from "./pieces.ts";
export type { ActionRequest } from "./rivet/raw.ts";
export type {
  AttachOptions,
  OutputListener,
  RunMethods,
  RunningCommand,
  RunOptions,
  RunResult,
  TextListener,
} from "./run.ts";
export type { Subscribe } from "./subscribe.ts";
export { TarExport } from "./tar-export.ts";
export type { TokensAccessor } from "./tokens.ts";
export type {
  ReadStreamOptions,
  StreamProgress,
  TarProgress,
  TarTransferOptions,
  TransferOptions,
  TransferProgress,
  VmFetchClientOptions,
  VmFetchStreamOptions,
  WriteStreamOptions,
} from "./transfer-types.ts";
export type { Tunnel, TunnelMethods, TunnelOptions, TunnelOut, TunnelOutOptions } from "./tunnel/types.ts";
export type {
  CallOptions,
  ClientOptions,
  CreateVmOptions,
  GetOrCreateVmOptions,
  VmAccessor,
  VmClient,
  VmClientMethods,
  VmConnection,
  VmHandle,
} from "./types.ts";
