/**
 * The client of agent-vm, for Node and browsers.
 *
 * @module
 */

export type { VmMethodName, VmMethods } from "../api/actions.ts";
export { AgentVmError, type ErrorCode, type ErrorMetadata } from "../api/errors.ts";
export type * from "../api/events.ts";
export type * from "../api/types.ts";
export { createClient } from "./client.ts";
export { type Terminal, terminal } from "./open-terminal.ts";
export type { PieceSource } from "./pieces.ts";
export { TarExport } from "./tar-export.ts";
export type {
  ActionRequest,
  CallOptions,
  ClientOptions,
  TarProgress,
  TarTransferOptions,
  TransferOptions,
  TransferProgress,
  VmAccessor,
  VmClient,
  VmClientMethods,
  VmConnection,
  VmHandle,
} from "./types.ts";
