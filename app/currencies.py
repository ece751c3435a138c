"""The currencies that Stripe charges, and how it counts each: one table.

Where the columns come from:

* codes, zero-decimal and three-decimal ones, special cases of ISK, UGX, HUF and TWD: https://docs.stripe.com/currencies,
  ``#presentment-currencies``, ``#zero-decimal``, ``#three-decimal``, ``#special-cases``. ANG and BGN are left out, since XCG
  and EUR have replaced them; whether Stripe still takes the old codes could not be checked [?];
* **minimum**: ``#minimum-and-maximum-charge-amounts`` there. Stripe publishes it by *settlement* currency (KRW's is not in
  all editions of the page [?]), so a charge that Stripe converts may be refused though it is not below the number here.
  Where nothing is published it is the smallest amount that can be said;
* **maximum**: the same section: twelve digits for IDR, eight for all others. Editions of the page differ in which currencies
  may have more than eight [?]; the narrow reading refuses early what Stripe might take, and never lets through what
  it refuses. Card networks and banks set lower limits of their own.

CLDR and ISO 4217 are no substitute: they give ISK, UGX, MGA or RSD other decimals than Stripe does.
"""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Currency:
    """How Stripe counts one currency.

    ``exponent``: decimals of the integer Stripe takes. ``decimals``: decimals a price may really have (ISK and UGX are
    sent as hundredths but have no fraction; three-decimal currencies must end in 0, which leaves two).
    ``display``: decimals people expect to see. In minor units: ``payout_step``, of which a manual payout must be a multiple,
    ``minimum`` and ``maximum``, the bounds of a charge.
    """

    code: str
    exponent: int
    decimals: int
    display: int
    payout_step: int
    minimum: int
    maximum: int

    @property
    def step(self) -> int:
        """Every charge, fee and refund is a multiple of this, in minor units: 100 for ISK, 10 for KWD, 1 for USD."""
        return int(10 ** (self.exponent - self.decimals))


#: code, exponent, decimals, display, payout_step, minimum, maximum
_TABLE = """
AED 2 2 2   1   200 99999999
AFN 2 2 2   1     1 99999999
ALL 2 2 2   1     1 99999999
AMD 2 2 2   1     1 99999999
AOA 2 2 2   1     1 99999999
ARS 2 2 2   1     1 99999999
AUD 2 2 2   1    50 99999999
AWG 2 2 2   1     1 99999999
AZN 2 2 2   1     1 99999999
BAM 2 2 2   1     1 99999999
BBD 2 2 2   1     1 99999999
BDT 2 2 2   1     1 99999999
BHD 3 2 3  10    10 99999990
BIF 0 0 0   1     1 99999999
BMD 2 2 2   1     1 99999999
BND 2 2 2   1     1 99999999
BOB 2 2 2   1     1 99999999
BRL 2 2 2   1    50 99999999
BSD 2 2 2   1     1 99999999
BWP 2 2 2   1     1 99999999
BYN 2 2 2   1     1 99999999
BZD 2 2 2   1     1 99999999
CAD 2 2 2   1    50 99999999
CDF 2 2 2   1     1 99999999
CHF 2 2 2   1    50 99999999
CLP 0 0 0   1     1 99999999
CNY 2 2 2   1     1 99999999
COP 2 2 2   1     1 99999999
CRC 2 2 2   1     1 99999999
CVE 2 2 2   1     1 99999999
CZK 2 2 2   1  1500 99999999
DJF 0 0 0   1     1 99999999
DKK 2 2 2   1   250 99999999
DOP 2 2 2   1     1 99999999
DZD 2 2 2   1     1 99999999
EGP 2 2 2   1     1 99999999
ETB 2 2 2   1     1 99999999
EUR 2 2 2   1    50 99999999
FJD 2 2 2   1     1 99999999
FKP 2 2 2   1     1 99999999
GBP 2 2 2   1    30 99999999
GEL 2 2 2   1     1 99999999
GIP 2 2 2   1     1 99999999
GMD 2 2 2   1     1 99999999
GNF 0 0 0   1     1 99999999
GTQ 2 2 2   1     1 99999999
GYD 2 2 2   1     1 99999999
HKD 2 2 2   1   400 99999999
HNL 2 2 2   1     1 99999999
HTG 2 2 2   1     1 99999999
HUF 2 2 2 100 17500 99999999
IDR 2 2 2   1     1 999999999999
ILS 2 2 2   1     1 99999999
INR 2 2 2   1    50 99999999
ISK 2 0 0 100   100 99999900
JMD 2 2 2   1     1 99999999
JOD 3 2 3  10    10 99999990
JPY 0 0 0   1    50 99999999
KES 2 2 2   1     1 99999999
KGS 2 2 2   1     1 99999999
KHR 2 2 2   1     1 99999999
KMF 0 0 0   1     1 99999999
KRW 0 0 0   1    50 99999999
KWD 3 2 3  10    10 99999990
KYD 2 2 2   1     1 99999999
KZT 2 2 2   1     1 99999999
LAK 2 2 2   1     1 99999999
LBP 2 2 2   1     1 99999999
LKR 2 2 2   1     1 99999999
LRD 2 2 2   1     1 99999999
LSL 2 2 2   1     1 99999999
MAD 2 2 2   1     1 99999999
MDL 2 2 2   1     1 99999999
MGA 0 0 0   1     1 99999999
MKD 2 2 2   1     1 99999999
MMK 2 2 2   1     1 99999999
MNT 2 2 2   1     1 99999999
MOP 2 2 2   1     1 99999999
MUR 2 2 2   1     1 99999999
MVR 2 2 2   1     1 99999999
MWK 2 2 2   1     1 99999999
MXN 2 2 2   1  1000 99999999
MYR 2 2 2   1   200 99999999
MZN 2 2 2   1     1 99999999
NAD 2 2 2   1     1 99999999
NGN 2 2 2   1     1 99999999
NIO 2 2 2   1     1 99999999
NOK 2 2 2   1   300 99999999
NPR 2 2 2   1     1 99999999
NZD 2 2 2   1    50 99999999
OMR 3 2 3  10    10 99999990
PAB 2 2 2   1     1 99999999
PEN 2 2 2   1     1 99999999
PGK 2 2 2   1     1 99999999
PHP 2 2 2   1     1 99999999
PKR 2 2 2   1     1 99999999
PLN 2 2 2   1   200 99999999
PYG 0 0 0   1     1 99999999
QAR 2 2 2   1     1 99999999
RON 2 2 2   1   200 99999999
RSD 2 2 2   1     1 99999999
RUB 2 2 2   1     1 99999999
RWF 0 0 0   1     1 99999999
SAR 2 2 2   1     1 99999999
SBD 2 2 2   1     1 99999999
SCR 2 2 2   1     1 99999999
SEK 2 2 2   1   300 99999999
SGD 2 2 2   1    50 99999999
SHP 2 2 2   1     1 99999999
SLE 2 2 2   1     1 99999999
SOS 2 2 2   1     1 99999999
SRD 2 2 2   1     1 99999999
STD 2 2 2   1     1 99999999
SZL 2 2 2   1     1 99999999
THB 2 2 2   1  1000 99999999
TJS 2 2 2   1     1 99999999
TND 3 2 3  10    10 99999990
TOP 2 2 2   1     1 99999999
TRY 2 2 2   1     1 99999999
TTD 2 2 2   1     1 99999999
TWD 2 2 2 100     1 99999999
TZS 2 2 2   1     1 99999999
UAH 2 2 2   1     1 99999999
UGX 2 0 0 100   100 99999900
USD 2 2 2   1    50 99999999
UYU 2 2 2   1     1 99999999
UZS 2 2 2   1     1 99999999
VND 0 0 0   1     1 99999999
VUV 0 0 0   1     1 99999999
WST 2 2 2   1     1 99999999
XAF 0 0 0   1     1 99999999
XCD 2 2 2   1     1 99999999
XCG 2 2 2   1     1 99999999
XOF 0 0 0   1     1 99999999
XPF 0 0 0   1     1 99999999
YER 2 2 2   1     1 99999999
ZAR 2 2 2   1     1 99999999
ZMW 2 2 2   1     1 99999999
"""


def _read() -> Iterator[Currency]:
    for line in _TABLE.strip().splitlines():
        code, *numbers = line.split()
        yield Currency(code, *map(int, numbers))


CURRENCIES: dict[str, Currency] = {currency.code: currency for currency in _read()}
