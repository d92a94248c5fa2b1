import assert from "node:assert/strict";
import { after, test } from "node:test";
import { AIMessage, type BaseMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { FakeListChatModel } from "@langchain/core/utils/testing";
import { createDeepAgent } from "deepagents";
import { createAgent } from "langchain";
import { deepAgentsBackend } from "../../../src/adapters/deepagents/index.ts";
import { langchainTools } from "../../../src/adapters/langchain/index.ts";
import { type Turn, turnsOf } from "../scripted-model.ts";
import { client } from "../server.ts";

const vm = client.vm.getOrCreate("langchain");
after(() => client.dispose());

/** A chat model that takes these turns, whatever it is told. */
class ScriptedModel extends FakeListChatModel {
  #turns: Turn[];

  constructor(turns: Turn[]) {
    super({ responses: [] });
    this.#turns = turns;
  }

  override bindTools() {
    return this as never;
  }

  override async _generate() {
    const turn = this.#turns.shift();
    assert.ok(turn, "The model was asked after its last turn");
    const text = "text" in turn ? turn.text : "";
    const calls =
      "text" in turn
        ? []
        : [{ name: turn.call, args: turn.input, id: crypto.randomUUID(), type: "tool_call" as const }];
    return { generations: [{ text, message: new AIMessage({ content: text, tool_calls: calls }) }] };
  }
}

const texts = (messages: BaseMessage[]) =>
  messages.filter((each) => each.getType() === "tool").map(({ text }) => text);

test("an agent of LangChain works with the tools", async () => {
  const model = new ScriptedModel(
    turnsOf(
      ["write_file", { path: "a.txt", content: "one\ntwo\n" }],
      ["edit_file", { path: "a.txt", old_text: "two", new_text: "2" }],
      ["exec", { command: "cat a.txt" }],
    ),
  );
  const agent = createAgent({
    model,
    tools: langchainTools(tool, vm, { workingDirectory: "/work/tools" }) as never,
  });
  const { messages } = await agent.invoke({ messages: [{ role: "user", content: "Go." }] });
  assert.equal(texts(messages).at(-1), "one\n2\n\n[exit code 0]");
  assert.equal(messages.at(-1)?.text, "done");
});

test("an agent of deepagents works on the VM's files and runs commands", async () => {
  const backend = deepAgentsBackend(vm, { workingDirectory: "/work/deep" });
  const model = new ScriptedModel(
    turnsOf(
      ["write_file", { file_path: "/work/deep/src/a.txt", content: "one\ntwo\n" }],
      ["edit_file", { file_path: "/work/deep/src/a.txt", old_string: "two", new_string: "2" }],
      ["read_file", { file_path: "/work/deep/src/a.txt" }],
      ["ls", { path: "/work/deep" }],
      ["glob", { pattern: "**/*.txt", path: "/work/deep" }],
      ["grep", { pattern: "2", path: "/work/deep" }],
      ["execute", { command: "wc -l < src/a.txt; echo err >&2; exit 3" }],
    ),
  );
  const agent = createDeepAgent({ model, backend });
  const { messages } = await agent.invoke({ messages: [{ role: "user", content: "Go." }] });
  const [, edited, read, listed, globbed, found, executed] = texts(messages as BaseMessage[]);
  assert.match(edited ?? "", /a\.txt/);
  assert.match(read ?? "", /one\n.*2/);
  assert.match(listed ?? "", /src\//);
  assert.match(globbed ?? "", /a\.txt/);
  assert.match(found ?? "", /a\.txt/);
  assert.match(executed ?? "", /2\nerr\n[\s\S]*3/);
});

test("files of any content go up and down, and errors are codes", async () => {
  const backend = deepAgentsBackend(vm, { workingDirectory: "/work/files" });
  const content = new Uint8Array([0, 255]);
  assert.deepEqual(
    await backend.uploadFiles([
      ["bin", content],
      ["/work", content],
    ]),
    [
      { path: "bin", error: null },
      { path: "/work", error: "is_directory" },
    ],
  );
  assert.deepEqual(await backend.downloadFiles(["bin", "none", "/work"]), [
    { path: "bin", content, error: null },
    { path: "none", content: null, error: "file_not_found" },
    { path: "/work", content: null, error: "is_directory" },
  ]);
  assert.match((await backend.read("none")).error ?? "", /^ENOENT/);
  assert.deepEqual((await backend.read("bin")).content, content);
  await backend.write("lines", "1\n2\n3\n");
  const page = { content: "2", startLine: 2, endLine: 2, nextOffset: 2, totalLines: 3 };
  assert.partialDeepStrictEqual(await backend.read("lines", 1, 1), page);
  assert.match((await backend.edit("lines", "none", "")).error ?? "", /does not occur/);
  await backend.delete("lines");
  assert.match((await backend.readRaw("lines")).error ?? "", /^ENOENT/);
});
