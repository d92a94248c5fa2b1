import { realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { SessionEventPayload } from "../../src/api/events.ts";
import type {
  CreateSessionOptions,
  JsonRpcNotification,
  PromptResult,
} from "../../src/api/methods/session-types.ts";
import type { VmMethods } from "../../src/api/methods/table.ts";
import type { VmRunOptions } from "../../src/runtime/hooks.ts";
import type { VmOptionsInput } from "../../src/runtime/options.ts";
import { startVm, type TestVm } from "./vm.ts";

const hostPath = (path: string) => realpathSync(fileURLToPath(new URL(path, import.meta.url)));

/** The agent's program inside a VM. */
const AGENT = "/opt/scripted/agent/agent.ts";

/** The scripted agent (see test/fixtures/scripted-agent), added as users add a custom agent. */
export const SCRIPTED = {
  command: "node",
  args: [AGENT],
  mounts: [
    { from: hostPath("../fixtures/scripted-agent"), to: "/opt/scripted/agent" },
    {
      from: hostPath("../../node_modules/@agentclientprotocol"),
      to: "/opt/scripted/node_modules/@agentclientprotocol",
    },
    { from: hostPath("../../node_modules/zod"), to: "/opt/scripted/node_modules/zod" },
  ],
};

/** Options of a VM with the scripted agent. */
export const withScripted: VmOptionsInput = { agents: { scripted: SCRIPTED } };

/** Makes options of a session with the scripted agent. Its behaviour.ts explains the words. */
export function behaving(words: string, options: CreateSessionOptions = {}): CreateSessionOptions {
  return { ...options, env: { SCRIPTED: words, ...options.env } };
}

/** The part of a VM that drives sessions, without a server or through a client. */
export interface Drivable {
  createSession(agentType: string, options?: CreateSessionOptions): Promise<{ sessionId: string }>;
  sendPrompt(sessionId: string, prompt: string): Promise<PromptResult>;
}

/** Opens a session with the scripted agent. */
export async function open(vm: Drivable, words = "", options?: CreateSessionOptions): Promise<string> {
  return (await vm.createSession("scripted", behaving(words, options))).sessionId;
}

/** Sends a prompt that must end normally. Returns the agent's reply. */
export async function ask(vm: Drivable, sessionId: string, script: string): Promise<string> {
  const { response, text } = await vm.sendPrompt(sessionId, script);
  const { stopReason } = (response.result ?? {}) as { stopReason?: string };
  if (stopReason !== "end_turn") throw new Error(`Expected the turn to end, got ${JSON.stringify(response)}`);
  return text;
}

/** Counts the VM's processes that run the agent, or another program. */
export async function count(vm: Pick<VmMethods, "allProcesses">, program = AGENT): Promise<number> {
  return (await vm.allProcesses()).filter(({ args }) => args.includes(program)).length;
}

/** Starts a VM with the scripted agent, without a server. */
export function scriptedVm(input: VmOptionsInput = {}, run: VmRunOptions = {}): TestVm {
  return startVm({ ...withScripted, ...input }, undefined, run);
}

/** Returns the events of a session that a VM has sent, in order. */
export function sessionEvents({ events }: TestVm, sessionId: string): SessionEventPayload[] {
  return events
    .filter((event) => event.name === "sessionEvent")
    .map(({ payload }) => payload as SessionEventPayload)
    .filter((payload) => payload.sessionId === sessionId);
}

/** Returns the update of a session/update notification, and any other notification unchanged. */
export function updateOf(notification: JsonRpcNotification): Record<string, unknown> {
  const { update } = (notification.params ?? {}) as { update?: Record<string, unknown> };
  return update ?? { ...notification };
}

/** Returns the text of a reply's chunk, and the kind of any other notification. */
export function brief(notification: JsonRpcNotification): string {
  const { sessionUpdate, content } = updateOf(notification) as {
    sessionUpdate?: string;
    content?: { text?: string };
  };
  if (sessionUpdate === "agent_message_chunk" && content?.text !== undefined) return content.text;
  return sessionUpdate ?? notification.method;
}
