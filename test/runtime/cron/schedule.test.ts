import { describe, expect, test } from "vitest";
import { refuseOver, Schedule } from "../../../src/runtime/cron/schedule.ts";

/** The next ticks, in UTC. */
function ticks(schedule: string, timezone: string, from: string, count: number): string[] {
  const parsed = new Schedule(schedule, timezone);
  const found: string[] = [];
  let tick: number | undefined = Date.parse(from) - 1;
  while (found.length < count) {
    tick = parsed.next(tick);
    if (tick === undefined) break;
    found.push(new Date(tick).toISOString().replace(":00.000Z", ""));
  }
  return found;
}

describe("daylight saving time, as croner documents it", () => {
  test.each([
    // The clock goes from 02:00 to 03:00 on 29 March in Berlin, and on 8 March in New York.
    [
      "Europe/Berlin",
      "30 2 * * *",
      "2026-03-28T00:00Z",
      ["2026-03-28T01:30", "2026-03-29T01:00", "2026-03-30T00:30"],
    ],
    [
      "America/New_York",
      "30 2 * * *",
      "2026-03-07T06:00Z",
      ["2026-03-07T07:30", "2026-03-08T07:00", "2026-03-09T06:30"],
    ],
    [
      "Europe/Berlin",
      "*/30 * * * *",
      "2026-03-29T00:30Z",
      ["2026-03-29T00:30", "2026-03-29T01:00", "2026-03-29T01:30"],
    ],
    ["America/New_York", "*/30 2 * * *", "2026-03-08T05:00Z", ["2026-03-09T06:00", "2026-03-09T06:30"]],
  ])("a gap in %s: %s", (timezone, schedule, from, expected) => {
    expect(ticks(schedule, timezone, from, expected.length)).toEqual(expected);
  });

  test.each([
    // It goes from 03:00 back to 02:00 on 25 October in Berlin, and from 02:00 to 01:00 on 1 November in New York.
    [
      "Europe/Berlin",
      "30 2 * * *",
      "2026-10-24T00:00Z",
      ["2026-10-24T00:30", "2026-10-25T00:30", "2026-10-26T01:30"],
    ],
    [
      "America/New_York",
      "30 1 * * *",
      "2026-10-31T05:00Z",
      ["2026-10-31T05:30", "2026-11-01T05:30", "2026-11-02T06:30"],
    ],
    [
      "Europe/Berlin",
      "30 * * * *",
      "2026-10-25T00:00Z",
      ["2026-10-25T00:30", "2026-10-25T01:30", "2026-10-25T02:30"],
    ],
    [
      "America/New_York",
      "30 * * * *",
      "2026-11-01T05:00Z",
      ["2026-11-01T05:30", "2026-11-01T06:30", "2026-11-01T07:30"],
    ],
  ])("an hour that comes twice in %s: %s", (timezone, schedule, from, expected) => {
    expect(ticks(schedule, timezone, from, expected.length)).toEqual(expected);
  });
});

test.each([
  ["5 fields", "15 10 * * MON-FRI", "UTC", ["2026-06-01T10:15", "2026-06-02T10:15"]],
  ["6 fields", "0 15 10 * * *", "UTC", ["2026-06-01T10:15", "2026-06-02T10:15"]],
  [
    "7 fields",
    "0 15 10 1 6 * 2026-2028",
    "UTC",
    ["2026-06-01T10:15", "2027-06-01T10:15", "2028-06-01T10:15"],
  ],
  ["leap days", "0 0 29 2 *", "UTC", ["2028-02-29T00:00", "2032-02-29T00:00"]],
  ["the last day of a month", "0 0 L * *", "UTC", ["2026-06-30T00:00", "2026-07-31T00:00"]],
  ["a nickname", "@monthly", "UTC", ["2026-06-01T00:00", "2026-07-01T00:00"]],
  ["a one-shot", "2026-07-01T12:00:00Z", "Europe/Berlin", ["2026-07-01T12:00"]],
  ["a local one-shot", "2026-07-01T12:00:00", "Europe/Berlin", ["2026-07-01T10:00"]],
  ["one with an offset", "2026-07-01T12:00:00+02:00", "UTC", ["2026-07-01T10:00"]],
  ["a date alone", "2026-07-01", "America/New_York", ["2026-07-01T04:00"]],
])("%s: %s", (_name, schedule, timezone, expected) => {
  const found = ticks(
    schedule,
    timezone,
    "2026-06-01T00:00Z",
    expected.length + (schedule.length > 25 ? 1 : 0),
  );
  expect(found).toEqual(expected);
});

test.each([
  "",
  "x",
  "* * * *",
  "* * * * * * * *",
  "60 * * * *",
  "*/0 * * * *",
  "@reboot",
  "12:30",
  "2026-13-01T00:00Z",
  "2026-02-30T00:00Z",
])("%j is no schedule", (schedule) => {
  expect(() => new Schedule(schedule, "UTC")).toThrow(
    expect.objectContaining({
      code: "invalid_argument",
      message: `Invalid schedule "${schedule}". Expected a cron expression or an ISO-like one-shot timestamp.`,
    }),
  );
});

test.each([
  ["2026-05-31T00:00:00Z", 'One-shot schedule "2026-05-31T00:00:00Z" is already in the past.'],
  ["0 0 30 2 *", 'Schedule "0 0 30 2 *" never comes due.'],
  ["0 0 0 1 1 * 2025", 'Schedule "0 0 0 1 1 * 2025" never comes due.'],
])("%s will not come", (schedule, message) => {
  const now = Date.parse("2026-06-01T00:00Z");
  expect(() => refuseOver(new Schedule(schedule, "UTC"), schedule, now)).toThrow(
    expect.objectContaining({ code: "invalid_argument", message }),
  );
});

test.each(["*/7 * * * *", "30 2 * * *", "0 */2 * * *", "0 0 29 2 *", "*/30 2 * * SUN", "0 0 1 1 *"])(
  "looking back finds what looking ahead does: %s",
  (schedule) => {
    for (const timezone of ["UTC", "Europe/Berlin", "America/New_York"]) {
      const parsed = new Schedule(schedule, timezone);
      for (const end of [
        "2026-03-09T00:00Z",
        "2026-03-30T00:00Z",
        "2026-10-26T00:00Z",
        "2026-11-02T12:34:56.789Z",
      ]) {
        const until = Date.parse(end);
        const after = until - 3 * 24 * 3_600_000;
        const ahead: number[] = [];
        for (let tick = parsed.next(after); tick !== undefined && tick <= until; tick = parsed.next(tick)) {
          ahead.push(tick);
        }
        expect(parsed.newest(100, after, until)).toEqual(ahead.slice(-100));
      }
    }
  },
);

test("startAt counts, stopAt does not", () => {
  const bounds = { startAt: Date.parse("2026-06-02T00:00Z"), stopAt: Date.parse("2026-06-04T00:00Z") };
  const schedule = new Schedule("0 0 * * *", "UTC", bounds);
  const days = (...numbers: number[]) => numbers.map((day) => Date.UTC(2026, 5, day));
  expect(schedule.next(0)).toBe(days(2)[0]);
  expect(schedule.next(days(3)[0]!)).toBeUndefined();
  expect(schedule.newest(100, 0, days(10)[0]!)).toEqual(days(2, 3));
});
