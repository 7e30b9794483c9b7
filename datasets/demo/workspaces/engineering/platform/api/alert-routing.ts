// Chooses the channels of an alert and the wait before it is repeated.
// The valve has already acted by the time this code runs; it only tells people.

export type Severity = "burst" | "drip" | "battery" | "offline";
export type Channel = "voice" | "sms" | "push" | "email";

export interface Recipient {
  id: string;
  role: "resident" | "warden" | "landlord-emergency";
  locale: "en-GB" | "de-DE";
  quietHours?: { from: number; to: number }; // local hours, 22 to 7 wraps around midnight
}

export interface Alert {
  flatId: string;
  severity: Severity;
  priorityHousehold: boolean;
  localHour: number;
}

export interface Delivery {
  recipient: string;
  channels: Channel[];
  repeatAfterS: number | null;
}

const CHANNELS: Record<Severity, Channel[]> = {
  burst: ["voice", "sms", "push"],
  drip: ["sms", "push"],
  battery: ["email"],
  offline: ["email"],
};

/** Unanswered alerts about water are repeated after three minutes, all others never. */
const REPEAT_WATER_S = 180;

export function inQuietHours(hour: number, quiet?: { from: number; to: number }): boolean {
  if (!quiet) return false;
  return quiet.from <= quiet.to
    ? hour >= quiet.from && hour < quiet.to
    : hour >= quiet.from || hour < quiet.to;
}

/** Quiet hours silence batteries and offline devices. They never silence water. */
export function route(alert: Alert, recipients: Recipient[]): Delivery[] {
  const water = alert.severity === "burst" || alert.severity === "drip";
  return recipients
    .filter((r) => water || !inQuietHours(alert.localHour, r.quietHours))
    .filter((r) => r.role !== "landlord-emergency" || alert.priorityHousehold || alert.severity === "burst")
    .map((r) => ({
      recipient: r.id,
      channels: alert.priorityHousehold && water ? ["voice", "sms"] : CHANNELS[alert.severity],
      repeatAfterS: water ? REPEAT_WATER_S : null,
    }));
}
