/** Codes of UCUM that the SenML units registry (RFC 8428 section 12.1, RFC 8798) writes otherwise. */
const otherwise = new Map<string, string>([
  ['[ppm]', 'ppm'],
  ['/min', '1/min'],
  ['/s', '1/s'],
  ['[pH]', 'pH'],
  ['W.h', 'Wh'],
  ['kW.h', 'kWh'],
  ['A.h', 'Ah'],
  ['V.A', 'VA'],
  ['dB[mW]', 'dBm'],
]);

/** Codes that both write alike and mean alike. */
const alike = new Set(
  `Cel % K Pa hPa m mm cm km m/s m/s2 s ms min h Hz MHz g kg rad deg m2 m3 l m3/s l/s kg/m3 ug/m3 mm/h km/h
  V mV A mA W kW J C F Ohm S H T Wb lm lx cd W/m2 dB N Bq Gy Sv kat bit/s S/m sr mol`
    .trim()
    .split(/\s+/),
);

/** A UCUM code as SenML writes it; null where its registry does not have the unit, which SenML then leaves out. */
export function senmlUnit(code: string): string | null {
  return otherwise.get(code) ?? (alike.has(code) ? code : null);
}
