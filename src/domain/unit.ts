import { nearest } from '../base/nearest.ts';

/** UCUM codes of the metrics that everybody names alike; null where the name does not tell. */
const units: Readonly<Record<string, string>> = {
  temperature: 'Cel',
  skin_temperature: 'Cel',
  bearing_temperature: 'Cel',
  humidity: '%',
  co2: '[ppm]',
  pressure: 'hPa',
  wind_speed: 'm/s',
  rain: 'mm',
  heart_rate: '/min',
  respiration_rate: '/min',
  hrv_rmssd: 'ms',
  spo2: '%',
  steps: '{steps}',
  battery: '%',
  vibration: 'mm/s',
  power: 'W',
  energy: 'W.h',
  voltage: 'V',
  current: 'A',
  frequency: 'Hz',
};

/** The unit that a metric's name alone tells, as a UCUM code (ucum.org), or null when it does not. */
export function unitOf(metric: string): string | null {
  return Object.hasOwn(units, metric) ? units[metric] : null;
}

/** UCUM codes (ucum.org, case sensitive) that sensors use; what a mistyped one is compared with. */
export const knownUnits: readonly string[] = `
  1 % [ppm] [ppb] [pH] Cel [degF] K Pa hPa kPa bar mbar [psi] mm[Hg]
  m mm cm km [in_i] [ft_i] [mi_i] m/s km/h m/s2 mm/s mm/h [kn_i]
  s ms us min h d Hz kHz MHz /min /h /s {rpm} deg rad
  g kg mg t g/m3 ug/m3 mg/m3 kg/m3 l ml m2 m3 l/min m3/h mmol/l mg/dl
  V mV A mA A.h W kW W.h kW.h V.A J kJ kcal Ohm uF T uT S/m
  lx lm cd W/m2 dB dB[mW] N N.m By kBy MBy bit/s Bq Bq/m3 Sv uSv/h {steps}`
  .trim()
  .split(/\s+/);

/** How people write units that UCUM writes otherwise, in lower case, before the code. */
const misspelt = new Map<string, string>(
  `°c=Cel ℃=Cel celsius=Cel degc=Cel °f=[degF] fahrenheit=[degF] degf=[degF] kelvin=K °=deg
  percent=% ppm=[ppm] ppb=[ppb] ph=[pH] bpm=/min rpm={rpm} steps={steps} psi=[psi] mmhg=mm[Hg]
  wh=W.h kwh=kW.h ah=A.h va=V.A volt=V volts=V watt=W watts=W ampere=A amps=A ohm=Ohm ω=Ohm lux=lx dbm=dB[mW]
  sec=s seconds=s minutes=min hours=h days=d mph=[mi_i]/h kmh=km/h knots=[kn_i] bytes=By
  m²=m2 m³=m3 m/s²=m/s2 w/m²=W/m2 µg/m³=ug/m3 μg/m³=ug/m3 µt=uT μt=uT`
    .split(/\s+/)
    .map((pair) => {
      const [written, meant] = pair.split('=');
      return [written, meant];
    }),
);

/**
 * A UCUM term as far as its grammar goes (ucum.org, section 2.3): components with `.` and `/` between, each a symbol with
 * square brackets where it has them, an exponent, an annotation in braces.
 */
const component = String.raw`(?:(?:[A-Za-z%'"*^0-9_]|\[[!-Z\\^-~]+\])+(?:[+-]?\d+)?(?:\{[!-z|~]*\})?|\{[!-z|~]*\}|\((?:[A-Za-z%'"*^0-9_.\/+-]|\[[!-Z\\^-~]+\])+\)(?:[+-]?\d+)?)`;
const term = new RegExp(String.raw`^\/?${component}(?:[./]${component})*$`);

/** Longest unit code. */
export const unitLengthMax = 40;

/** What is wrong with a unit code, as a sentence that says what to write instead; null when nothing is. */
export function unitFault(code: string): string | null {
  const meant = misspelt.get(code.toLowerCase());
  // UCUM may have the same letters for something else (pH is a picohenry) that nobody measures.
  if (meant !== undefined && !knownUnits.includes(code)) return `"${code}" is written "${meant}" in UCUM`;
  if (code.length <= unitLengthMax && term.test(code)) return null;
  const near = nearest(code, knownUnits);
  const hint = near === null ? 'for example Cel, %, m/s or {steps}' : `did you mean "${near}"?`;
  return `"${code.slice(0, unitLengthMax)}" is not a UCUM code (ucum.org); ${hint}`;
}
