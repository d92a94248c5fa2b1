import { realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { VmMethods } from "../../src/api/actions.ts";
import type { SessionEventPayload } from "../../src/api/events.ts";
import type { CreateSessionOptions, JsonRpcNotification, PromptResult } from "../../src/api/types.ts";
import type { VmOptionsInput } from "../../src/runtime/options.ts";
import type { VmSettings } from "../../src/runtime/vm.ts";
import { startVm, type TestVm } from "./vm.ts";

const hostPath = (path: string) => realpathSync(fileURLToPath(new URL(path, import.meta.url)));

/** The agent's program inside a VM. */
const AGENT = "/opt/scripted/agent/agent.ts";

/** The scripted agent as a user would add an agent of their own; see test/fixtures/scripted-agent. */
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

/** Options of a VM that has it. */
export const withScripted: VmOptionsInput = { agents: { scripted: SCRIPTED } };

/** Options of a session with it; see behaviour.ts there for the words. */
export function behaving(words: string, options: CreateSessionOptions = {}): CreateSessionOptions {
  return { ...options, env: { SCRIPTED: words, ...options.env } };
}

/** What sessions are driven through: the bare runtime or a client's handle. */
export interface Drivable {
  createSession(agentType: string, options?: CreateSessionOptions): Promise<{ sessionId: string }>;
  sendPrompt(sessionId: string, prompt: string): Promise<PromptResult>;
}

/** Opens a session with the scripted agent. */
export async function open(vm: Drivable, words = "", options?: CreateSessionOptions): Promise<string> {
  return (await vm.createSession("scripted", behaving(words, options))).sessionId;
}

/** What the agent says to a prompt that ends well. */
export async function ask(vm: Drivable, sessionId: string, script: string): Promise<string> {
  const { response, text } = await vm.sendPrompt(sessionId, script);
  const { stopReason } = (response.result ?? {}) as { stopReason?: string };
  if (stopReason !== "end_turn") throw new Error(`Expected the turn to end, got ${JSON.stringify(response)}`);
  return text;
}

/** How many processes of a VM are agents, or run another program. */
export async function count(vm: Pick<VmMethods, "allProcesses">, program = AGENT): Promise<number> {
  return (await vm.allProcesses()).filter(({ args }) => args.includes(program)).length;
}

/** A VM with the scripted agent, on the bare runtime. */
export function scriptedVm(input: VmOptionsInput = {}, settings: VmSettings = {}): TestVm {
  return startVm({ ...withScripted, ...input }, undefined, settings);
}

/** The events of a session that a VM has sent, in order. */
export function sessionEvents({ events }: TestVm, sessionId: string): SessionEventPayload[] {
  return events
    .filter((event) => event.name === "sessionEvent")
    .map(({ payload }) => payload as SessionEventPayload)
    .filter((payload) => payload.sessionId === sessionId);
}

/** The update in a session/update notification; other notifications as they are. */
export function updateOf(notification: JsonRpcNotification): Record<string, unknown> {
  const { update } = (notification.params ?? {}) as { update?: Record<string, unknown> };
  return update ?? { ...notification };
}

/** The text of a reply's chunk; of anything else what kind it is. */
export function brief(notification: JsonRpcNotification): string {
  const { sessionUpdate, content } = updateOf(notification) as {
    sessionUpdate?: string;
    content?: { text?: string };
  };
  if (sessionUpdate === "agent_message_chunk" && content?.text !== undefined) return content.text;
  return sessionUpdate ?? notification.method;
}
