"""The buckets of the histograms of cost: in order, without gaps, and narrow. Pure."""

# Sixty-four buckets for each doubling: each is at most 1.57 % wide, so its middle is within 0.8 %.
_BITS = 6
_EXACT = 2 << _BITS


def cost_bucket(nanodollars: int) -> int:
    """Number the bucket of a cost; small costs have one each."""
    if nanodollars < _EXACT:
        return max(nanodollars, 0)
    shift = nanodollars.bit_length() - _BITS - 1
    return (shift << _BITS) + (nanodollars >> shift)


def bucket_bounds(bucket: int) -> tuple[int, int]:
    """The least and the greatest cost in nanodollars that fall into a bucket."""
    if bucket < _EXACT:
        return bucket, bucket
    shift = (bucket >> _BITS) - 1
    least = ((1 << _BITS) + (bucket & ((1 << _BITS) - 1))) << shift
    return least, least + (1 << shift) - 1
