import type { ByteShare } from "../../base/byte-share.ts";
import type { OutputBudget } from "../../base/tail.ts";
import type { VmHandlers } from "../hooks.ts";
import type { VmServices } from "../vm-services.ts";
import type { Agents } from "./agents/registry.ts";
import type { SessionRecords } from "./transcript/records.ts";

/** Services of the VM and of the server that its sessions use. */
export interface SessionsDeps
  extends Pick<
      VmServices,
      | "sandbox"
      | "files"
      | "env"
      | "store"
      | "runtime"
      | "maxResultBytes"
      | "emit"
      | "hasListeners"
      | "whileRunning"
      | "filesMayHaveChanged"
      | "keepFiles"
      | "onFailure"
    >,
    VmHandlers {
  agents: Agents;
  /** List of the host functions for agents. */
  hostInstructions?: string | undefined;
  permissionTimeoutMs: number;
  /** Output that the VM keeps. */
  kept: OutputBudget;
}

/** Services that one session uses. */
export interface SessionDeps extends SessionsDeps {
  records: SessionRecords;
  /** Memory that all sessions of the VM share. */
  memory: ByteShare;
}
