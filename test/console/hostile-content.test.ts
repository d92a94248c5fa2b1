// @module-tag slow
// @module-tag attack
import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { consoleTest } from "../support/console.ts";
import { open as openSession } from "../support/scripted.ts";

const { vm, server, open } = consoleTest();

/** Markup that sets `pwned` if any of it runs. */
const MARKUP = [
  "<img src=x onerror='window.pwned=1'>",
  "<script>window.pwned=1</script>",
  "<svg onload='window.pwned=1'></svg>",
  "\"'><iframe srcdoc='<script>parent.pwned=1</script>'></iframe>",
].join("");

const MARKDOWN = [
  MARKUP,
  "[click](javascript:window.pwned=1) [data](data:text/html,<script>window.pwned=1</script>)",
  "<a href=javascript:window.pwned=1>a</a> <style>body{display:none}</style>",
  "![image](https://evil.example/pixel.png) <form action=https://evil.example><input name=q></form>",
  "<math><mtext><table><mglyph><style><!--</style><img title='--><img src=1 onerror=window.pwned=1>'>",
  "the end",
].join(" ");

/** Escapes of a terminal: a link to a script, a title, a write to the clipboard, a question about the title. */
const ESCAPES = [
  "\\033]8;;javascript:window.pwned=1\\033\\\\link\\033]8;;\\033\\\\",
  `\\033]0;${MARKUP.replaceAll("'", "")}\\007`,
  "\\033]52;c;cHduZWQ=\\007",
  '\\033[21t\\033[6n\\033P$q\\"p\\033\\\\',
  MARKUP.replaceAll("'", "").replaceAll('"', ""),
].join("");

async function isUnharmed(page: Page): Promise<void> {
  expect(await page.evaluate(() => (window as unknown as { pwned?: number }).pwned)).toBeUndefined();
  expect(
    await page.evaluate(() => document.querySelectorAll("iframe, form[action^='http'], img[src='x']").length),
  ).toBe(0);
  expect(await page.locator("header.top").isVisible()).toBe(true);
}

test("names, labels, titles, output, agents and terminals of a machine run no script and send no request", async (context) => {
  const key = `evil ${MARKUP}`.slice(0, 120);
  const evil = vm(key);
  await evil.setLabels({ [MARKUP.slice(0, 100)]: MARKUP.slice(0, 200) });
  const name = "<img src=x onerror='window.pwned=1'>.md";
  await evil.writeFiles([
    { path: `/workspace/${name}`, content: MARKDOWN },
    { path: "/workspace/page.html", content: `<!doctype html>${MARKUP}` },
    {
      path: "/workspace/picture.svg",
      content: `<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9" onload="parent.pwned=1"><script>parent.pwned=1</script></svg>`,
    },
    { path: "/workspace/false.pdf", content: `<!doctype html>${MARKUP}` },
  ]);
  await evil.createSnapshot(MARKUP.slice(0, 200));
  await evil.writeFile(`/workspace/${name}`, `${MARKUP} changed`);
  await evil.spawn("sh", [
    "-c",
    `printf '%s\\n' "$1"; printf '${ESCAPES}\\n'; exec sleep 1000`,
    MARKUP,
    MARKUP,
  ]);
  await evil.scheduleCron({
    id: "job",
    schedule: "0 0 1 1 *",
    action: { type: "exec", command: `printf '%s' "${MARKUP.replaceAll('"', "")}"; false` },
  });
  await evil.runCronJob("job");
  const sessionId = await openSession(evil);
  const tool = {
    sessionUpdate: "tool_call",
    toolCallId: MARKUP,
    title: MARKUP,
    kind: MARKUP,
    status: MARKUP,
    locations: [{ path: MARKUP }],
    content: [
      { type: "diff", path: MARKUP, oldText: MARKUP, newText: `${MARKUP}!` },
      { type: "content", content: { type: "text", text: MARKUP } },
      { type: "content", content: { type: "resource_link", uri: "javascript:window.pwned=1", name: MARKUP } },
    ],
  };
  for (const script of [
    `say ${MARKDOWN.replaceAll(";", ",")}`,
    `think ${MARKDOWN.replaceAll(";", ",")}`,
    `plan ${MARKUP.replaceAll(";", "")}`,
    `update ${JSON.stringify(tool).replaceAll(";", "")}`,
    `update ${JSON.stringify({ sessionUpdate: "plan", entries: [null, 7, { content: { a: 1 } }] })}`,
    `update ${JSON.stringify({ sessionUpdate: "tool_call", content: "no list", locations: 7 })}`,
    `update ${JSON.stringify({ sessionUpdate: "agent_message_chunk", content: null })}`,
  ])
    await evil.prompt(sessionId, script);

  const page = await open(context);
  page.on("dialog", () => expect.unreachable("a dialog of the browser"));
  await page.getByRole("link", { name: "evil" }).click();
  await page.getByRole("tab", { name: "Files" }).click();
  for (const file of [".md", "page.html", "picture.svg", "false.pdf"]) {
    await page.getByRole("treeitem").filter({ hasText: file }).click();
    await page.locator(".cm-content, img").first().waitFor();
    await isUnharmed(page);
  }
  await page.getByRole("button", { name: "Changes" }).click();
  await page.getByLabel("Changed since").waitFor();
  await page.getByRole("button", { name: "<img src=x" }).click();
  await page.getByRole("region", { name: "Difference of" }).getByText("changed").first().waitFor();
  await isUnharmed(page);
  await page.getByRole("tab", { name: "Processes" }).click();
  await page.getByRole("button", { name: "Output" }).first().click();
  await page.getByRole("log", { name: "Output" }).getByText("link").waitFor();
  await isUnharmed(page);
  await page.getByRole("tab", { name: "Sessions" }).click();
  await page.getByText("the end").first().waitFor();
  await page.getByText("Thought").click();
  const links = await page
    .getByRole("log")
    .locator("a")
    .evaluateAll((all) => all.map((link) => link.getAttribute("href")));
  expect(links.filter((href) => href !== null)).toEqual([]);
  await isUnharmed(page);
  for (const tab of ["Cron", "Snapshots", "Network", "Use", "Log", "Methods"]) {
    await page.getByRole("tab", { name: tab }).click();
    await page.waitForLoadState("networkidle");
    await isUnharmed(page);
  }
  await page.getByRole("button", { name: /^readFiles\(/ }).click();
  await page.getByLabel("paths").fill(`/workspace/${name}`);
  await page.getByRole("button", { name: "Call", exact: true }).click();
  await page.getByRole("region", { name: "Result" }).getByText("changed").waitFor();
  await isUnharmed(page);
  await page.getByRole("tab", { name: "Log" }).click();
  await page.getByText("cronEvent").first().click();
  await page.getByRole("dialog").waitFor();
  await isUnharmed(page);
  await page.keyboard.press("Escape");
  await page.getByRole("tab", { name: "Terminal" }).click();
  await page.getByRole("button", { name: "Open a terminal" }).click();
  // Keys that come before the prompt of the shell are lost.
  await page.locator(".xterm-rows").getByText("$").first().waitFor();
  await page.locator(".xterm").click();
  await evil.writeFile("/tmp/escapes", `printf '${ESCAPES}\\n'; echo; echo shown`);
  await page.keyboard.type("clear; sh /tmp/escapes\n");
  await page.locator(".xterm-rows").getByText("shown").waitFor();
  await page.locator(".xterm-rows").getByText("link").first().click({ force: true });
  await isUnharmed(page);
  await page.reload();
  await page.locator(".xterm-rows").getByText("shown").waitFor();
  await isUnharmed(page);
  await page.getByRole("link", { name: "agent-vm", exact: true }).click();
  await page.getByRole("link", { name: "evil" }).waitFor();
  await isUnharmed(page);
});

/** A page in a machine that tries what its place on the server's origin may give it. */
const THIEF = `
  const report = {};
  const attempt = async (name, work) => { try { report[name] = String(await work()); } catch (error) { report[name] = "failed"; } };
  const token = (text) => /avm_[e]y/.test(text) ? "STOLEN" : "none";
  await attempt("cookie", () => token(document.cookie));
  await attempt("storage", () => token(JSON.stringify([localStorage, sessionStorage])));
  await attempt("document", async () => token(await (await fetch("/console")).text()));
  await attempt("navigate", async () => token(await (await fetch("/console", { mode: "same-origin", credentials: "include", cache: "force-cache" })).text()));
  await attempt("login", async () => token(await (await fetch("/console/login", { method: "POST" })).text()));
  await attempt("list", async () => (await fetch("/vms?name=vm")).status);
  const frame = document.createElement("iframe");
  frame.src = "/console";
  document.body.append(frame);
  await new Promise((resolve) => setTimeout(resolve, 1500));
  await attempt("frame", () => token(frame.contentDocument.documentElement.outerHTML));
  const tab = window.open("/console", "tab");
  await new Promise((resolve) => setTimeout(resolve, 2500));
  await attempt("tab", () => tab === null || tab.closed ? "closed" : token(tab.document.documentElement.outerHTML));
  document.title = JSON.stringify(report);`;

test("a preview on the server's own origin cannot read the console's login", async (context) => {
  const thief = vm("thief");
  await thief.writeFile(
    "/tmp/thief.cjs",
    `require("node:http").createServer((q, r) => { r.setHeader("content-type", "text/html"); r.end(${JSON.stringify(`<!doctype html><meta name="referrer" content="no-referrer"><button>go</button><script type="module">document.querySelector("button").onclick = async () => { ${THIEF} };</script>`)}); }).listen(3000)`,
  );
  await thief.spawn("node", ["/tmp/thief.cjs"]);
  await thief.waitForPort(3000);
  const { pathUrl } = await thief.createSignedPreviewUrl(3000);
  const console = await open(context);
  await console.getByRole("link", { name: "thief" }).waitFor();
  const page = await console.context().newPage();
  await page.goto(pathUrl.replace("127.0.0.1", "localhost"));
  expect(new URL(page.url()).origin).toBe(new URL(console.url()).origin);
  await page.getByRole("button").click();
  await expect.poll(() => page.title()).toContain("{");
  const report = JSON.parse(await page.title());
  expect(report).toMatchObject({
    cookie: "none",
    document: "none",
    navigate: "none",
    login: "none",
    list: "403",
  });
  expect(Object.values(report)).not.toContain("STOLEN");
  expect(server().endpoint).toContain("127.0.0.1");
});
