import { afterEach, expect, test, vi } from "vitest";
import { serverOf } from "../../../src/client/rivet/config.ts";

const TOKEN = "admin token of the engine";
const ENGINE = "http://engine.internal:6420";

afterEach(() => vi.unstubAllEnvs());

test.each(["RIVET_ENGINE", "RIVET_ENDPOINT"])(
  "the token of the environment goes only to the server of %s",
  (name) => {
    vi.stubEnv("RIVET_TOKEN", TOKEN);
    vi.stubEnv(name, ENGINE);
    const tokenFor = (endpoint?: string) => serverOf({ endpoint }).token;
    expect([tokenFor(), tokenFor(ENGINE), tokenFor(`${ENGINE}/`)]).toEqual([TOKEN, TOKEN, TOKEN]);
    expect(tokenFor("http://localhost:6420")).toBe(undefined);
    expect(tokenFor("http://engine.internal:6421")).toBe(undefined);
    expect(tokenFor("http://namespace:own@localhost:6420")).toBe("own");
    expect(serverOf({ endpoint: "http://localhost:6420", token: "own" }).token).toBe("own");
    expect(serverOf({ endpoint: "http://other:6420" }, { isEngine: true }).token).toBe(TOKEN);
  },
);

test("without an address the token of the environment goes to the server of this machine", () => {
  vi.stubEnv("RIVET_ENGINE", undefined);
  vi.stubEnv("RIVET_ENDPOINT", undefined);
  vi.stubEnv("RIVET_TOKEN", TOKEN);
  expect(serverOf({})).toMatchObject({ endpoint: "http://localhost:6420", token: TOKEN });
});

test("an endpoint that is given works beside one of the environment that is no URL", () => {
  vi.stubEnv("RIVET_ENDPOINT", "localhost:6420");
  expect(serverOf({ endpoint: "http://other.example" })).toMatchObject({ token: undefined });
  expect(() => serverOf({})).toThrow("Expected `endpoint`");
});
