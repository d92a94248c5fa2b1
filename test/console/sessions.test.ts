// @module-tag slow
import { expect, test } from "vitest";
import { consoleTest, PHONE } from "../support/console.ts";
import { open as openSession } from "../support/scripted.ts";

const { vm, open, shoot } = consoleTest();

const DIFF = {
  sessionUpdate: "tool_call",
  toolCallId: "edit",
  title: "Edit app.ts",
  kind: "edit",
  status: "completed",
  content: [
    {
      type: "diff",
      path: "/workspace/app.ts",
      oldText: "const a = 1\nconst b = 2\n",
      newText: "const a = 1\nconst b = 3\n",
    },
  ],
};

test("a session is started and prompted, and its transcript reads as text, thoughts, tools, diffs and plans", async (context) => {
  await vm("talk").mkdir("/workspace", { recursive: true });
  const page = await open(context, { at: "#/vm/vm/sessions/talk" });
  await page.getByRole("button", { name: "New session" }).click();
  await page.getByLabel("Agent").selectOption("scripted");
  await page.getByRole("button", { name: "Start" }).click();
  await page.getByRole("textbox", { name: "Prompt" }).waitFor();
  const ask = async (script: string) => {
    await page.getByRole("textbox", { name: "Prompt" }).fill(script);
    await page.keyboard.press("Control+Enter");
  };
  await ask(
    `think I look first; say **Bold** and a list; plan read,write; tool build; update ${JSON.stringify(DIFF)}`,
  );
  const log = page.getByRole("log", { name: "Transcript" });
  await log.locator("strong", { hasText: "Bold" }).waitFor();
  await log.getByText("Thought").waitFor();
  await log.getByRole("region", { name: "Plan" }).getByText("write").waitFor();
  await log.getByText("Run build").click();
  await log.getByText("done").waitFor();
  await log.locator(".cm-insertedLine", { hasText: "const b = 3" }).waitFor();
  await log
    .locator(".cm-deletedChunk, .cm-deletedLine, .cm-changedLine", { hasText: "const b = 2" })
    .first()
    .waitFor();
  await shoot(page, "sessions");
  await page.getByLabel("Mode", { exact: true }).selectOption({ index: 1 });
  const [record] = await vm("talk").listSessions();
  const modes = await vm("talk").getModes(record?.sessionId ?? "");
  await expect
    .poll(async () => (await vm("talk").getModes(record?.sessionId ?? ""))?.currentModeId)
    .toBe(modes?.availableModes[1]?.id);

  // A button of the first prompt would stop nothing.
  await page.getByText("The agent works…").waitFor({ state: "detached" });
  await ask("until-cancel");
  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByText("The agent works…").waitFor({ state: "detached" });
  await page.reload();
  await log.locator(".cm-insertedLine", { hasText: "const b = 3" }).waitFor();

  await vm("talk").sleep();
  await page.getByText("sleeping").waitFor();
  await page.reload();
  await log.locator(".cm-insertedLine", { hasText: "const b = 3" }).waitFor();
  expect((await vm("talk").status()).state).toBe("sleeping");
});

test("a permission request appears on every page, and an answer reaches the agent", async (context) => {
  const sessionId = await openSession(vm("asks"));
  const page = await open(context, { size: PHONE });
  await page.getByRole("link", { name: "asks" }).waitFor();
  const turn = vm("asks").prompt(
    sessionId,
    "await /tmp/go; permission delete-all allow_once,allow_always,reject_once",
  );
  // An agent waits for an answer only if somebody listens.
  await expect.poll(async () => (await vm("asks").getSession(sessionId)).status).toBe("running");
  await page.waitForTimeout(4_000);
  await vm("asks").writeFile("/tmp/go", "");
  const banner = page.getByRole("alert", { name: "Permission requests" });
  await banner.getByText("asks:").waitFor();
  await shoot(page, "permission");
  await banner.getByRole("button", { name: "Allow once" }).click();
  await banner.waitFor({ state: "detached" });
  expect((await turn).text).toBe("delete-all: allow_once");
});
