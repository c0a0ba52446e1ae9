//! Lanes lie where the geometry says, and a hostile one is refused.

use super::*;

#[test]
fn lanes_lie_one_after_the_other_to_the_end() {
    for budget in [0, 4 << 20, 100 << 20, 256 << 20, 3 << 30] {
        let geometry = Geometry::for_budget(budget);
        assert_eq!(
            Geometry::checked(geometry.lanes, geometry.words),
            Some(geometry)
        );
        let mut end = geometry.lanes_data_at();
        for index in 0..geometry.lane_count() {
            let (words, offset) = geometry.lane(index).unwrap();
            assert_eq!(offset, end);
            assert!(offset.is_multiple_of(PAGE) && words.is_power_of_two());
            end = offset + words * 8;
        }
        assert_eq!(geometry.lane(geometry.lane_count()), None);
        assert_eq!(end, geometry.total_bytes());
        // Headers come on top: a 64th of the lanes at most, and the process slots.
        let budget = budget.max(Geometry::MIN_BUDGET);
        assert!(end as u64 <= budget + budget / 64 + (1 << 20));
    }
}

#[test]
fn a_hostile_geometry_is_refused() {
    assert_eq!(Geometry::checked([0; CLASSES], [4096; CLASSES]), None);
    assert_eq!(Geometry::checked([1; CLASSES], [4095; CLASSES]), None);
    assert_eq!(
        Geometry::checked([u32::MAX; CLASSES], [4096; CLASSES]),
        None
    );
    assert_eq!(Geometry::checked([1; CLASSES], [0; CLASSES]), None);
}
