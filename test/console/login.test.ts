// @module-tag slow
import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { consoleTest } from "../support/console.ts";

const TOKEN = "the-administrators-token";
const { vm, server, open, shoot } = consoleTest({ AGENT_VM_TOKEN: TOKEN });
const admin = () => server().client({ token: TOKEN });
const refused = { expected: /401/ };

test("a login with the server's token keeps a token that ends soon, over a reload, and not the server's token", async (context) => {
  await vm("alice").exists("/");
  const page = await open(context, refused);
  const field = page.getByLabel("Server token, or a token for some machines");
  await field.fill("wrong");
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("alert").waitFor();
  await shoot(page, "login");
  await field.fill(TOKEN);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("link", { name: "alice" }).waitFor();
  const [cookie] = await page.context().cookies();
  expect(cookie).toMatchObject({ path: "/console", httpOnly: true, sameSite: "Strict" });
  expect(cookie?.value).not.toContain("avm_");
  const { tokens } = await admin().tokens.list();
  const own = tokens.find(({ label }) => label === "console");
  expect((own?.expiresAt ?? 0) - (own?.createdAt ?? 0)).toBeLessThanOrEqual(3_601_000);

  await page.reload();
  await page.getByRole("link", { name: "alice" }).waitFor();
  // No script of the origin finds the token: not in the document, not in the storage, not by asking for the document.
  const found = await page.evaluate(async () => {
    const text = await (await fetch("/console")).text();
    return [
      document.documentElement.outerHTML,
      document.cookie,
      text,
      ...Object.values(localStorage),
      ...Object.values(sessionStorage),
    ].join("\n");
  });
  expect(found).not.toContain("avm_");
  expect(found).not.toContain(TOKEN);

  await page.getByRole("button", { name: "Log out" }).click();
  await field.waitFor();
  await page.reload();
  await field.waitFor();
});

test("a token that only reads gets a console that only reads", async (context) => {
  await vm("alice").writeFile("/workspace/hello.txt", "hello");
  const { token } = await admin().tokens.create({ vms: "alice", may: ["read"] });
  await vm("bob").exists("/");
  const page = await open(context, refused);
  await page.getByLabel("Server token, or a token for some machines").fill(token);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("link", { name: "alice" }).waitFor();
  await page.getByText("read only").waitFor();
  expect(await page.getByRole("link", { name: "bob" }).count()).toBe(0);
  for (const name of ["Destroy", "Sleep", "Fork", "New machine"])
    expect(await page.getByRole("button", { name }).count()).toBe(0);
  await page.getByRole("link", { name: "alice" }).click();
  expect(await page.getByRole("tab", { name: "Terminal" }).count()).toBe(0);
  await page.getByRole("tab", { name: "Files" }).click();
  await page.getByRole("treeitem", { name: "hello.txt" }).click();
  await page.getByText("hello", { exact: true }).waitFor();
  for (const name of ["Save", "Delete", "Rename", "New file"])
    expect(await page.getByRole("button", { name }).count()).toBe(0);
  for (const tab of ["Processes", "Sessions", "Network", "Cron", "Snapshots", "Log", "Use"]) {
    await page.getByRole("tab", { name: tab }).click();
    await page.waitForLoadState("networkidle");
  }
  expect(await page.locator(".failure").count()).toBe(0);
});

/** Logs in with a token on the page that asks for it. */
async function logIn(page: Page, token = TOKEN): Promise<void> {
  await page.getByLabel("Server token, or a token for some machines").fill(token);
  await page.getByRole("button", { name: "Log in" }).last().click();
}

test("a revoked login asks again, and the page, its address and its text that is not saved stay", async (context) => {
  await vm("alice").writeFile("/workspace/note.txt", "old");
  const page = await open(context, { ...refused, at: "#/vm/vm/files/alice" });
  await logIn(page);
  await page.getByRole("treeitem", { name: "note.txt" }).click();
  await page.getByRole("textbox", { name: "/workspace/note.txt" }).click();
  await page.keyboard.press("Control+Home");
  await page.keyboard.type("new ");
  await page.getByText("not saved").waitFor();
  const { tokens } = await admin().tokens.list();
  for (const { id, label } of tokens) if (label === "console") await admin().tokens.revoke(id);
  const dialog = page.getByRole("dialog", { name: "The login has ended" });
  await dialog.waitFor();
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Log in" }).click();
  await dialog.waitFor();
  await logIn(page);
  await dialog.waitFor({ state: "detached" });
  expect(page.url()).toMatch(/#\/vm\/vm\/files\/alice$/);
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText("Saved /workspace/note.txt").waitFor();
  expect(new TextDecoder().decode(await vm("alice").readFile("/workspace/note.txt"))).toBe("new old");
});

test("a token that expires asks for another one at the same address", async (context) => {
  await vm("alice").exists("/");
  const { token } = await admin().tokens.create({ vms: "alice", may: ["read"], expiresIn: 8 });
  const page = await open(context, { ...refused, at: "#/vm/vm/cron/alice" });
  await logIn(page, token);
  await page.getByRole("tab", { name: "Cron", selected: true }).waitFor();
  await page.getByRole("dialog", { name: "The login has ended" }).waitFor();
  await logIn(page);
  await page.getByRole("button", { name: "New job" }).waitFor();
  // A reload after the end of a login asks at the same address too.
  const { tokens } = await admin().tokens.list();
  for (const { id, label } of tokens) if (label === "console") await admin().tokens.revoke(id);
  await page.reload();
  await logIn(page);
  await page.getByRole("button", { name: "New job" }).waitFor();
});

test("the token of an open page is renewed before it ends, and the renewed login outlives a reload", async (context) => {
  await vm("alice").exists("/");
  const page = await open(context, refused);
  await logIn(page);
  await page.getByRole("link", { name: "alice" }).waitFor();
  // The clock of the page goes on by the wish of the test from here on.
  await page.clock.install();
  await page.reload();
  await page.getByRole("link", { name: "alice" }).waitFor();
  const answers = ["/tokens/renew", "/console/login"].map((path) =>
    page.waitForResponse((response) => response.url().endsWith(path)),
  );
  await page.clock.fastForward("35:00");
  expect((await Promise.all(answers)).map((answer) => answer.status())).toEqual([200, 200]);
  await page.getByRole("link", { name: "alice" }).click();
  await page.getByRole("heading", { name: "alice" }).waitFor();
  await page.reload();
  await page.getByRole("heading", { name: "alice" }).waitFor();
  expect(await page.getByText("logged out").count()).toBe(0);
});
