// @module-tag slow
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

test("a revoked login says so, and the next login goes on", async (context) => {
  await vm("alice").exists("/");
  const page = await open(context, refused);
  const logIn = async () => {
    await page.getByLabel("Server token, or a token for some machines").fill(TOKEN);
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByRole("link", { name: "alice" }).waitFor();
  };
  await logIn();
  const { tokens } = await admin().tokens.list();
  for (const { id, label } of tokens) if (label === "console") await admin().tokens.revoke(id);
  await page.getByText("logged out").waitFor();
  await page.getByRole("button", { name: "Log in" }).click();
  await logIn();
});
