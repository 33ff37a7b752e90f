/* The kernels in binary32, and what they make of every input of a range of bit patterns.

   x is an entry of the proposed update, c the speed limit; for zeta x is a gradient entry and c the
   largest one. Every operation is rounded once: compiled without contraction or fast mathematics. */

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

_Static_assert(FLT_EVAL_METHOD == 0, "float operations must be rounded to float");

static float number_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float lorentz_root(float q) { return sqrtf(q * q + 1.0f); }

/* Sets the smaller of |x| and c, and its quotient by the larger. */
static float ordered(float x, float c, float *quotient)
{
    float size = fabsf(x), slow = size > c ? c : size, fast = size < c ? c : size;
    *quotient = slow / fast;
    if (isnan(*quotient) && !isnan(x))
        *quotient = 0.0f;
    return slow;
}

static float smooth(float x, float c)
{
    float quotient, slow = ordered(x, c, &quotient);
    return copysignf(slow / lorentz_root(quotient), x);
}

static float smooth_branched(float x, float c)
{
    float size = fabsf(x);
    if (size < c)
        return x / lorentz_root(fminf(size / c, 1.0f));
    return copysignf(c / lorentz_root(fminf(c / size, 1.0f)), x);
}

static float naive(float x, float c) { return x / lorentz_root(x / c); }

static float with_hypot(float x, float c) { return x / hypotf(1.0f, x / c); }

static float saturating(float x, float c)
{
    float quotient, slow = ordered(x, c, &quotient), size = fabsf(x);
    if (size < c)
        slow *= quotient > 0.0f ? tanhf(quotient) / quotient : 1.0f;
    else
        slow *= tanhf(1.0f / fmaxf(quotient, 1.0f / 32));
    return copysignf(slow, x);
}

static float zeta(float g, float largest)
{
    float product = g * largest;
    return g / (1.0f + product * product);
}

/* Broken: no proof of zeta may hold of it. */
static float zeta_over_half(float g, float largest)
{
    float product = g * largest;
    return g / (0.5f + product * product);
}

typedef float (*kernel)(float, float);

static const kernel KERNELS[] = {smooth,     smooth_branched, naive,         with_hypot,
                                 saturating, zeta,            zeta_over_half};

/* y[i] = kernel(x[i], c) */
void apply(int which, const float *x, float c, float *y, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        y[i] = KERNELS[which](x[i], c);
}

/* What goes wrong, counted; and the least |x| at which it first does, as bits. */
struct findings {
    uint64_t inputs, not_finite, beyond_limit, amplified, vanished, falls, differs;
    uint32_t first_beyond_limit, first_vanished, largest_result;
};

static void least(uint32_t *first, uint64_t count, uint32_t bits)
{
    uint32_t size = bits & 0x7fffffffu;
    if (count == 1 || size < *first)
        *first = size;
}

/* Runs through the finite inputs with bits first ... last - 1. Results that fall are those smaller
   in magnitude than their predecessor's, by more than a unit in the last place; results that differ
   do so from smooth's, if compare is set. */
void sweep(int which, uint64_t first, uint64_t last, float c, int compare, struct findings *found)
{
    memset(found, 0, sizeof *found);
    float previous = first ? KERNELS[which](number_of((uint32_t)first - 1), c) : 0.0f;
    uint32_t before = bits_of(fabsf(previous));
    int have_before = first && isfinite(number_of((uint32_t)first - 1));
    for (uint64_t b = first; b < last; b++) {
        uint32_t bits = (uint32_t)b;
        float x = number_of(bits);
        if (!isfinite(x)) {
            have_before = 0;
            continue;
        }
        float y = KERNELS[which](x, c), size = fabsf(y);
        found->inputs++;
        if (!isfinite(y)) {
            found->not_finite++;
            continue;
        }
        if (size > c)
            least(&found->first_beyond_limit, ++found->beyond_limit, bits);
        if (size > fabsf(x))
            found->amplified++;
        if (size == 0.0f && x != 0.0f)
            least(&found->first_vanished, ++found->vanished, bits);
        if (bits_of(size) > found->largest_result)
            found->largest_result = bits_of(size);
        if (have_before && bits_of(size) + 1 < before)
            found->falls++;
        if (compare && bits_of(smooth(x, c)) != bits_of(y))
            found->differs++;
        before = bits_of(size);
        have_before = 1;
    }
}
