import assert from "node:assert/strict";
import type { SessionConfigOption } from "../../src/api/methods/session-types.ts";
import { living } from "../support/living.ts";
import { failure, until } from "../support/until.ts";
import { BORDER_HEADER } from "./model-host.ts";
import type { Trial } from "./trial.ts";

/** Result of a step: a note for the table, or NOT_OFFERED if the agent lacks the feature. */
type Outcome = string | undefined | typeof NOT_OFFERED;

export const NOT_OFFERED = Symbol("not offered");

export interface Step {
  name: string;
  run(trial: Trial): Promise<Outcome>;
}

const SENTENCE = "remember apple and say one two three four five six seven eight nine ten eleven twelve";

/** Start of the preamble for an agent that has not kept the session itself. */
const PREAMBLE = "This conversation continues an earlier one";

/** Commands of the processes that every VM has. */
const VM_COMMANDS = ["cat", "sh", "agentos-spawner"];

/** Steps of every agent, run in this order and in one session. */
export const STEPS: Step[] = [
  {
    name: "createSession",
    async run(trial) {
      const { agentInfo } = await trial.createSession();
      const { id, version } = (await trial.vm.listAgents()).find(
        (agent) => agent.id === trial.settings.agent,
      ) ?? { id: "", version: null };
      assert.equal(id, trial.settings.agent);
      return `${version}, ${String(agentInfo?.name ?? "unnamed")}`;
    },
  },
  {
    name: "streamed text",
    async run(trial) {
      const { text, response } = await trial.prompt(`[[say ${SENTENCE}]]`);
      assert.equal(stopReason(response), "end_turn");
      assert.ok(text.trim().endsWith(SENTENCE), `the text was ${JSON.stringify(text)}`);
      const chunks = trial.events.map(({ event }) => chunkOf(event)).filter((chunk) => chunk !== undefined);
      assert.equal(chunks.join(""), text);
      assert.ok(chunks.length > 1, "the text came in one piece");
      const { requests } = trial.settings.models;
      assert.ok(requests.every(({ headers }) => headers[BORDER_HEADER] === "added"));
      return undefined;
    },
  },
  {
    name: "instructions",
    async run(trial) {
      assert.match((await trial.prompt("[[instructions]]")).text, /instructed: blue/);
      return undefined;
    },
  },
  {
    name: "permission: reject",
    async run(trial) {
      if (!trial.settings.profile.asks) return NOT_OFFERED;
      await trial.prompt("[[write /workspace/rejected.txt hello]]", "reject");
      assert.equal(trial.asked.length, 1);
      assert.equal(await trial.read("/workspace/rejected.txt"), undefined);
      return undefined;
    },
  },
  {
    name: "write a file: once",
    async run(trial) {
      const { text } = await trial.prompt("[[write /workspace/once.txt hello once]]", "once");
      assert.match(text, /result: /);
      assert.equal(trial.asked.length, trial.settings.profile.asks ? 1 : 0);
      assert.equal(await trial.read("/workspace/once.txt"), "hello once");
      return undefined;
    },
  },
  {
    name: "permission: always",
    async run(trial) {
      if (!trial.settings.profile.asks) return NOT_OFFERED;
      await trial.prompt("[[write /workspace/always.txt hello always]]", "always");
      assert.equal(trial.asked.length, 1);
      await trial.vm.delete("/workspace/always.txt");
      await trial.prompt("[[write /workspace/always.txt hello always]]", "reject");
      assert.equal(trial.asked.length, 0);
      assert.equal(await trial.read("/workspace/always.txt"), "hello always");
      return undefined;
    },
  },
  {
    name: "bash",
    async run(trial) {
      const { text } = await trial.prompt("[[ask id -un > who.txt; cat who.txt]]", "once");
      assert.match(text, /agentos/);
      assert.equal(await trial.read("/workspace/who.txt"), "agentos\n");
      return undefined;
    },
  },
  {
    name: "MCP server",
    async run(trial) {
      if (!trial.settings.profile.mcp) {
        const mcpServers = [{ command: "node", args: ["/workspace/mcp-server.ts"] }];
        const refused = await failure(trial.vm.createSession(trial.settings.agent, { mcpServers }));
        assert.equal(refused.code, "agent_failed");
        return NOT_OFFERED;
      }
      assert.match((await trial.prompt("[[call shout quiet]]", "once")).text, /QUIET/);
      return undefined;
    },
  },
  {
    name: "MCP server of a VM",
    async run(trial) {
      if (!trial.settings.profile.mcp) return NOT_OFFERED;
      const command = "echo made by an agent > made.txt; pwd";
      const { text } = await trial.prompt(`[[call exec ${JSON.stringify({ command })}]]`, "once");
      assert.match(text, /result: [\s\S]*\/home\/agentos/);
      const made = await trial.client.vm.get("box").readFile("/home/agentos/made.txt");
      assert.equal(new TextDecoder().decode(made), "made by an agent\n");
      assert.equal(await trial.read("/home/agentos/made.txt"), undefined);
      return undefined;
    },
  },
  {
    name: "cancel",
    async run(trial) {
      const { models } = trial.settings;
      const before = trial.events.length;
      const prompt = trial.prompt("[[stream]]");
      await until(
        () => trial.events.slice(before).some(({ event }) => chunkOf(event)?.includes("piece")),
        30_000,
      );
      const start = performance.now();
      await trial.vm.cancelPrompt(trial.sessionId);
      const { response, text } = await prompt;
      const took = performance.now() - start;
      assert.equal(stopReason(response), "cancelled");
      assert.match(text, /piece0/);
      await until(() => models.requests.some(({ cut }) => cut));
      assert.match((await trial.prompt("[[say still here]]")).text, /still here/);
      return `${took.toFixed(0)} ms after the call`;
    },
  },
  {
    name: "setMode",
    async run(trial) {
      const { mode } = trial.settings.profile;
      const modes = await trial.vm.getModes(trial.sessionId);
      if (mode === undefined || modes === null) return NOT_OFFERED;
      for (const id of [mode, modes.currentModeId]) {
        assert.equal((await trial.vm.setMode(trial.sessionId, id)).error, undefined);
        assert.equal((await trial.vm.getModes(trial.sessionId))?.currentModeId, id);
      }
      return mode;
    },
  },
  {
    name: "setModel",
    async run(trial) {
      const { profile, models } = trial.settings;
      if (profile.model === undefined) return NOT_OFFERED;
      await trial.prompt("[[say before]]");
      const before = models.requests.findLast(isPrompt)?.model;
      assert.equal((await trial.vm.setModel(trial.sessionId, profile.model)).error, undefined);
      assert.match((await trial.prompt("[[say after]]")).text, /after/);
      const after = models.requests.findLast(isPrompt)?.model;
      assert.notEqual(after, before);
      return after;
    },
  },
  {
    name: "setThoughtLevel",
    async run(trial) {
      const { thoughtLevel } = trial.settings.profile;
      if (thoughtLevel === undefined) return NOT_OFFERED;
      const { error } = await trial.vm.setThoughtLevel(trial.sessionId, thoughtLevel);
      assert.equal(error, undefined);
      assert.equal((await option(trial, "thought_level"))?.currentValue, thoughtLevel);
      return thoughtLevel;
    },
  },
  {
    name: "model behind TLS",
    async run(trial) {
      assert.match(await trial.promptSecurely("[[say hello through TLS]]"), /hello through TLS/);
      return undefined;
    },
  },
  {
    name: "agent killed, resume",
    async run(trial) {
      const { pid } = await trial.vm.getSession(trial.sessionId);
      await trial.vm.exec(`kill -9 ${pid}`);
      await until(() => trial.crashes.length > 0);
      assert.deepEqual(
        trial.crashes.map(({ sessionId, signal, restart }) => ({ sessionId, signal, restart })),
        [{ sessionId: trial.sessionId, signal: "SIGKILL", restart: true }],
      );
      assert.match((await trial.prompt("[[recall]]")).text, /recalled: apple/);
      return undefined;
    },
  },
  {
    name: "server killed, resume",
    async run(trial) {
      const { models } = trial.settings;
      const before = await trial.vm.getSessionEvents(trial.sessionId);
      await trial.kill();
      await trial.start();
      const listed = await trial.vm.listSessions();
      assert.deepEqual(
        listed.map(({ sessionId }) => sessionId),
        [trial.sessionId],
      );
      const after = await trial.vm.getSessionEvents(trial.sessionId);
      assert.deepEqual(after.slice(0, before.length), before);
      const start = performance.now();
      assert.match((await trial.prompt("[[recall]]")).text, /recalled: apple/);
      assert.equal(await trial.read("/workspace/once.txt"), "hello once");
      const hasPreamble = models.requests
        .findLast(({ body }) => body.includes("[[recall]]"))
        ?.body.includes(PREAMBLE);
      return `${hasPreamble ? "got the transcript" : "remembered"}, ${((performance.now() - start) / 1000).toFixed(1)} s`;
    },
  },
  {
    name: "memory",
    run: async (trial) => `${await trial.residentMib()} MiB`,
  },
  {
    name: "closeSession",
    async run(trial) {
      const { pid } = await trial.vm.getSession(trial.sessionId);
      assert.notEqual(pid, null);
      await trial.vm.closeSession(trial.sessionId);
      const left = living(await trial.vm.allProcesses()).filter(
        ({ command }) => !VM_COMMANDS.includes(command),
      );
      assert.deepEqual(left, []);
      return undefined;
    },
  },
];

function isPrompt({ body }: { body: string }): boolean {
  return /\[\[say (before|after)\]\]/.test(body);
}

function stopReason({ result }: { result?: unknown }): unknown {
  return (result as { stopReason?: unknown } | undefined)?.stopReason;
}

interface Update {
  sessionUpdate?: string;
  content?: { text?: string };
}

function chunkOf({ params }: { params?: unknown }): string | undefined {
  const { update } = (params ?? {}) as { update?: Update };
  return update?.sessionUpdate === "agent_message_chunk" ? update.content?.text : undefined;
}

async function option(trial: Trial, category: string): Promise<SessionConfigOption | undefined> {
  return (await trial.vm.getConfigOptions(trial.sessionId)).find((found) => found.category === category);
}
