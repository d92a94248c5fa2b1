import type { VmEventName, VmEvents } from "../../api/events.ts";
import type { Env, PermissionRequest } from "../../api/types.ts";
import type { Files } from "../filesystem/files.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import type { Store } from "../store.ts";
import type { Agents } from "./agents/agents.ts";
import type { SessionRecords } from "./records.ts";

/** What a session needs of its VM. */
export interface SessionSurroundings {
  sandbox(): Promise<Sandbox>;
  files(): Promise<Files>;
  /** Variables of every command of the VM. */
  env(): Env;
  shell: string;
  agents: Agents;
  store: Store;
  records: SessionRecords;
  permissionTimeoutMs: number;
  emit<Name extends VmEventName>(name: Name, payload: VmEvents[Name]): void;
  keepAwake(work: Promise<unknown>): void;
  /** The agent may have changed files. */
  touchFiles(): void;
  /** What the agent has done to the files is durable when this resolves. Never rejects. */
  keepFiles(): Promise<void>;
  hasListeners(name: VmEventName): boolean;
  onPermissionRequest?(
    sessionId: string,
    request: PermissionRequest,
  ): Promise<string | undefined> | string | undefined;
}
